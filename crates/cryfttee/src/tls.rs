//! TLS for the `https` transport: rustls, one provider of cryptography (`ring`), TLS 1.2 and 1.3.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, version};

/// Where the certificate chain and its key are, PEM each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Why there is no TLS. No text of the key file is in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("read the {0} {1}: {2}")]
    Read(&'static str, PathBuf, String),
    /// The file of the chain has no certificate in it.
    #[error("there is no certificate in {0}")]
    NoCertificate(PathBuf),
    /// The two do not go together, or the key is of a kind that TLS does not use.
    #[error("use the certificate and the key for TLS")]
    Unusable(#[source] rustls::Error),
}

/// Reads the files, and makes what handshakes are done with.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    const CHAIN: &str = "certificate chain";
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| read(CHAIN, &files.certificate, &error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(files.certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| read("private key", &files.key, &error))?;
    if std::fs::metadata(&files.key).is_ok_and(|file| file.mode() & 0o007 != 0) {
        tracing::warn!("every user of this system can get at the private key {}", files.key.display());
    }
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(TlsError::Unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read(what: &'static str, path: &Path, error: &PemError) -> TlsError {
    let why = match error {
        PemError::Io(error) => error.to_string(),
        PemError::NoItemsFound => "there is none in it".to_owned(),
        // Their texts can quote a line of the file.
        _ => "it is not PEM".to_owned(),
    };
    TlsError::Read(what, path.to_owned(), why)
}
