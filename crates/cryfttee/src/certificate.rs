//! A node's certificate: self-signed, over a key that only the signer has.

use std::str::FromStr as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contract::{NodeId, TlsPublicKey};
use k256::ecdsa::signature::{Keypair, Verifier as _};
use k256::ecdsa::{Signature, VerifyingKey};
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder as _, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::EncodePem as _;
use x509_cert::der::asn1::{BitString, GeneralizedTime, ObjectIdentifier};
use x509_cert::der::pem::LineEnding;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, SubjectPublicKeyInfo, SubjectPublicKeyInfoRef,
};
use x509_cert::time::{Time, Validity};

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// A node's name hangs on its key, so a certificate that runs out helps nobody; 20 years outlive the hardware.
const VALID: Duration = Duration::from_secs(20 * 366 * 24 * 60 * 60);
/// A peer whose clock is behind must not refuse a new node.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// The system gave no random serial number.
    #[error("draw a serial number")]
    Random(#[from] getrandom::Error),
    /// The certificate cannot be put together.
    #[error("put the certificate together")]
    Build(#[from] x509_cert::builder::Error),
    /// A part of it cannot be encoded.
    #[error("encode the certificate")]
    Encode(#[from] x509_cert::der::Error),
    /// The key or the signature is none.
    #[error("check the signature over the certificate")]
    Signature(#[from] k256::ecdsa::Error),
}

/// A certificate that waits for its signature.
pub(crate) struct Unsigned {
    builder: CertificateBuilder<SelfSigned>,
    key: Outside,
    to_be_signed: Vec<u8>,
}

impl Unsigned {
    /// An X.509 v3 certificate of `key` by `key`: common name is the Node ID, it may sign as a CA (which is what
    /// makes it its own trust anchor) and as itself.
    pub(crate) fn for_key(key: &TlsPublicKey) -> Result<Self, CertificateError> {
        let key = Outside(VerifyingKey::from_sec1_bytes(key.as_bytes())?, NodeId::of(key));
        let profile = SelfSigned(Name::from_str(&format!("CN={}", key.1))?);
        let spki = SubjectPublicKeyInfo::from_key(&key.0).map_err(x509_cert::builder::Error::from)?;
        let mut builder = CertificateBuilder::new(profile, serial()?, validity(SystemTime::now())?, spki)?;
        let to_be_signed = builder.finalize(&key)?;
        Ok(Self { builder, key, to_be_signed })
    }

    /// What the signer is to sign, with ECDSA over SHA-256.
    pub(crate) fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    /// The certificate, PEM. `signature` is r‖s; it is verified, since a certificate that nobody accepts would be
    /// found out much later and far from here.
    pub(crate) fn sign(self, signature: &[u8; 64]) -> Result<String, CertificateError> {
        let signature = Signature::from_slice(signature)?;
        self.key.0.verify(&self.to_be_signed, &signature)?;
        let signature = BitString::from_bytes(signature.to_der().as_bytes())?;
        Ok(self.builder.assemble(signature, &self.key)?.to_pem(LineEnding::LF)?)
    }
}

/// The public half of a key that signs elsewhere; the builder asks for no more.
struct Outside(VerifyingKey, NodeId);

impl Keypair for Outside {
    type VerifyingKey = VerifyingKey;

    fn verifying_key(&self) -> VerifyingKey {
        self.0
    }
}

impl DynSignatureAlgorithmIdentifier for Outside {
    fn signature_algorithm_identifier(&self) -> x509_cert::spki::Result<AlgorithmIdentifierOwned> {
        Ok(AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None })
    }
}

/// The shape of the certificate: subject and issuer are one.
struct SelfSigned(Name);

impl BuilderProfile for SelfSigned {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.0.clone()
    }

    fn build_extensions(
        &self,
        _subject_key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let ca = BasicConstraints { ca: true, path_len_constraint: Some(0) };
        let usage = KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyCertSign);
        Ok(vec![ca.to_extension(tbs.subject(), &[])?, usage.to_extension(tbs.subject(), &[])?])
    }
}

/// 127 random bits, as a positive number.
fn serial() -> Result<SerialNumber, CertificateError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    // The top bit would make it negative; the next keeps the first byte from being zero, which DER would drop.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::new(&bytes)?)
}

fn validity(now: SystemTime) -> Result<Validity, CertificateError> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = |since: Duration| GeneralizedTime::from_unix_duration(since).map(Time::GeneralTime);
    // The builder turns times before 2050 into UTCTime, as RFC 5280 wants them.
    Ok(Validity::new(time(since.saturating_sub(BACKDATED))?, time(since + VALID)?))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use k256::ecdsa::SigningKey;
    use k256::ecdsa::signature::Signer as _;

    use super::*;

    fn key() -> (SigningKey, TlsPublicKey) {
        let secret = SigningKey::from_slice(&[7; 32]).expect("a secret");
        let point = secret.verifying_key().to_sec1_point(true);
        (secret, TlsPublicKey::from_bytes(point.as_bytes()).expect("on the curve"))
    }

    #[test]
    fn a_signature_by_another_key_makes_no_certificate() {
        let (_, public) = key();
        let other = SigningKey::from_slice(&[8; 32]).expect("a secret");
        let unsigned = Unsigned::for_key(&public).expect("put together");
        let signature: Signature = other.sign(unsigned.to_be_signed());
        let refused = unsigned.sign(&signature.to_bytes().into());
        assert!(matches!(refused, Err(CertificateError::Signature(_))));
        let unsigned = Unsigned::for_key(&public).expect("put together");
        assert!(matches!(unsigned.sign(&[0; 64]), Err(CertificateError::Signature(_))));
    }

    #[test]
    fn openssl_reads_the_certificate_and_verifies_it_against_itself() {
        let (secret, public) = key();
        let unsigned = Unsigned::for_key(&public).expect("put together");
        let signature: Signature = secret.sign(unsigned.to_be_signed());
        let pem = unsigned.sign(&signature.to_bytes().into()).expect("signed");

        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("certificate.pem");
        std::fs::write(&file, pem).expect("write");
        let openssl = |arguments: &[&str]| {
            std::process::Command::new("openssl").args(arguments).arg(&file).output().map(|output| {
                let text = [output.stdout, output.stderr].concat();
                (output.status.success(), String::from_utf8_lossy(&text).into_owned())
            })
        };
        let Ok((read, text)) = openssl(&["x509", "-noout", "-text", "-in"]) else {
            // Past the harness, which shows nothing of a test that passes.
            let _ = writeln!(
                std::io::stdout(),
                "SKIPPED: openssl_reads_the_certificate_and_verifies_it_against_itself: there is no openssl command"
            );
            return;
        };
        assert!(read, "{text}");
        let id = NodeId::of(&public).to_string();
        for part in [
            "Version: 3",
            "ecdsa-with-SHA256",
            "secp256k1",
            "CA:TRUE",
            "Digital Signature, Certificate Sign",
            &format!("Subject: CN = {id}"),
            &format!("Issuer: CN = {id}"),
        ] {
            assert!(text.replace("CN=", "CN = ").contains(part), "{part} is not in\n{text}");
        }
        let trusted = file.to_str().expect("UTF-8").to_owned();
        let (verified, text) =
            openssl(&["verify", "-x509_strict", "-check_ss_sig", "-CAfile", &trusted]).expect("there");
        assert!(verified, "{text}");
        let (lasts, text) =
            openssl(&["x509", "-noout", "-checkend", &format!("{}", 10 * 365 * 86_400), "-in"]).expect("there");
        assert!(lasts, "{text}");
    }
}
