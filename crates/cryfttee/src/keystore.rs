//! A new BLS key, sealed in an EIP-2335 keystore for a signer that imports keys and makes none.
//!
//! Everything secret is in memory that is wiped when it is dropped: the random bytes, the key, the password, the key
//! derived from it, and the body that carries keystore and password together. What lies in the kernel's socket buffers
//! on the way is not: import over loopback or an encrypted tunnel.

use std::fmt::Write as _;

use blst::min_pk::SecretKey;
use contract::BlsPublicKey;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The rounds of the EIP's own example, which every reader of keystores accepts. The password is 32 random bytes, so it
/// is not they that protect it.
const ROUNDS: u32 = 262_144;
/// Domain separation tag of proofs of possession, in the ciphersuite that consensus keys sign with.
const POSSESSION: &[u8] = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

type Aes128Ctr = ctr::Ctr128BE<aes::Aes128>;
type Secret = Zeroizing<[u8; 32]>;

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum MakeKeyError {
    /// The system gave no random bytes.
    #[error("draw random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// The key derivation gave no key. It cannot, for 32 bytes.
    #[error("derive a BLS key")]
    Derive,
    /// The task that makes it did not end as it should.
    #[error("make the key on a thread of its own: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// A new key, ready to be imported.
pub(crate) struct NewKey {
    pub(crate) public: BlsPublicKey,
    /// A signature over the public key, under a tag that no message is signed with.
    pub(crate) proof: [u8; 96],
    /// `{"keystores":[…],"passwords":[…]}`.
    pub(crate) import: Zeroizing<Vec<u8>>,
}

impl NewKey {
    /// Makes one. Takes some tens of milliseconds of a processor.
    pub(crate) fn make() -> Result<Self, MakeKeyError> {
        // KeyGen of the BLS signature draft: 32 random bytes in, an unbiased scalar that is not zero out.
        let secret = SecretKey::key_gen(random::<32>()?.as_ref(), &[]).map_err(|_| MakeKeyError::Derive)?;
        let public = secret.sk_to_pk().compress();
        let proof = secret.sign(&public, POSSESSION, &[]).compress();
        let public = BlsPublicKey::from_bytes(public).map_err(|_| MakeKeyError::Derive)?;
        // In hex: the EIP would strip or rewrite some characters of a password, and none of these.
        let password = Zeroizing::new(hex::encode(random::<32>()?));
        let (salt, iv) = (random::<32>()?, random::<16>()?);
        let sealed = Sealed::new(&Zeroizing::new(secret.to_bytes()), password.as_bytes(), &salt, &iv);
        let keystore = sealed.json(&public, &uuid(*random::<16>()?));
        Ok(Self { public, proof, import: import(&keystore, &password) })
    }
}

/// The ciphertext of a secret, and what is needed to open it but for the password.
struct Sealed<'a> {
    salt: &'a [u8; 32],
    iv: &'a [u8; 16],
    ciphertext: [u8; 32],
    checksum: [u8; 32],
}

impl<'a> Sealed<'a> {
    fn new(secret: &Secret, password: &[u8], salt: &'a [u8; 32], iv: &'a [u8; 16]) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, ROUNDS, key.as_mut());
        let (cipher_key, checksum_key) = key.split_at(16);
        let mut half = Zeroizing::new([0; 16]);
        half.copy_from_slice(cipher_key);
        let mut text = secret.clone();
        Aes128Ctr::new((&*half).into(), iv.into()).apply_keystream(text.as_mut());
        let checksum = Sha256::new().chain_update(checksum_key).chain_update(text.as_ref()).finalize().into();
        Self { salt, iv, ciphertext: *text, checksum }
    }

    /// The keystore, version 4. All of it is ASCII without backslashes.
    fn json(&self, public: &BlsPublicKey, uuid: &str) -> String {
        let (salt, iv) = (hex::encode(self.salt), hex::encode(self.iv));
        let (checksum, ciphertext) = (hex::encode(self.checksum), hex::encode(self.ciphertext));
        // The path is empty, as the EIP asks where a key was not derived from another.
        format!(
            concat!(
                r#"{{"crypto":{{"kdf":{{"function":"pbkdf2","params":{{"dklen":32,"c":{},"prf":"hmac-sha256","#,
                r#""salt":"{}"}},"message":""}},"#,
                r#""checksum":{{"function":"sha256","params":{{}},"message":"{}"}},"#,
                r#""cipher":{{"function":"aes-128-ctr","params":{{"iv":"{}"}},"message":"{}"}}}},"#,
                r#""description":"made by cryfttee","pubkey":"{}","path":"","uuid":"{}","version":4}}"#
            ),
            ROUNDS,
            salt,
            checksum,
            iv,
            ciphertext,
            hex::encode(public.as_bytes()),
            uuid
        )
    }
}

/// The body of an import, put together in one buffer that never grows: one that did would leave the password behind.
fn import(keystore: &str, password: &str) -> Zeroizing<Vec<u8>> {
    let keystore = keystore.replace('"', "\\\"");
    let parts = ["{\"keystores\":[\"", &keystore, "\"],\"passwords\":[\"", password, "\"]}"];
    let mut body = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        body.extend_from_slice(part.as_bytes());
    }
    body
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut())?;
    Ok(bytes)
}

/// The text of a random UUID (RFC 9562, version 4).
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use cryfttee_devsigner::keystore::{Keystore, Password};
    use serde::Deserialize;

    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).expect("hex").try_into().expect("of that length")
    }

    #[test]
    fn the_pbkdf2_vector_of_the_eip_comes_out() {
        let secret = Zeroizing::new(bytes("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"));
        // The password of the EIP in its normal form.
        let password = bytes::<16>("7465737470617373776f7264f09f9491").to_vec();
        let salt = bytes("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3");
        let iv = bytes("264daa3f303d7259501c93d997d84fe6");
        let sealed = Sealed::new(&secret, &password, &salt, &iv);
        assert_eq!(hex::encode(sealed.checksum), "8a9f5d9912ed7e75ea794bc5a89bca5f193721d30868ade6f73043c6ea6febf1");
        assert_eq!(hex::encode(sealed.ciphertext), "cee03fde2af33149775b7223e7845e4fb2c8ae1792e5f99fe9ecf474cc8c16ad");
    }

    #[derive(Deserialize)]
    struct Import {
        keystores: [String; 1],
        passwords: [String; 1],
    }

    #[test]
    fn another_reader_opens_the_keystore_and_finds_the_key_that_it_names() {
        let made = NewKey::make().expect("made");
        let body: Import = serde_json::from_slice(&made.import).expect("JSON");
        let keystore = Keystore::parse(body.keystores[0].as_bytes()).expect("a keystore");
        let secret = keystore.open(&Password::new(&body.passwords[0])).expect("its password");
        let key = cryfttee_devsigner::keys::bls::BlsKey::from_secret(&secret).expect("a key");
        assert_eq!(key.public(), made.public);
        assert_eq!(keystore.pubkey(), hex::encode(made.public.as_bytes()));
        assert_eq!(key.prove_possession(), made.proof);
        assert_eq!(body.passwords[0].len(), 64);
        assert_eq!(made.import.len(), made.import.capacity(), "the buffer never grew");
        assert!(keystore.open(&Password::new("")).is_err());
    }

    #[test]
    fn two_keys_share_nothing() {
        let (one, two) = (NewKey::make().expect("made"), NewKey::make().expect("made"));
        assert_ne!(one.public, two.public);
        let parse = |key: &NewKey| serde_json::from_slice::<Import>(&key.import).expect("JSON");
        let (one, two) = (parse(&one), parse(&two));
        assert_ne!(one.passwords, two.passwords);
        let fields = |import: &Import| -> Vec<String> {
            let keystore: serde_json::Value = serde_json::from_str(&import.keystores[0]).expect("JSON");
            let crypto = &keystore["crypto"];
            [&crypto["kdf"]["params"]["salt"], &crypto["cipher"]["params"]["iv"], &keystore["uuid"]]
                .map(ToString::to_string)
                .to_vec()
        };
        assert!(fields(&one).iter().zip(fields(&two)).all(|(one, two)| *one != two));
    }

    #[test]
    fn a_uuid_has_the_version_and_the_variant_of_a_random_one() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
    }
}
