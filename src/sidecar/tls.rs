//! TLS for `https`: rustls with one provider of cryptography (`ring`), TLS 1.2 and 1.3.
//!
//! The sidecar's certificate is checked against the CA certificates of one file and nothing else. The system's CAs are
//! not asked: any of them could vouch for a stranger, and a sidecar's certificate is an operator's own.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::exit;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore, version};

use crate::durable;

/// There is nothing to check the sidecar's certificate with.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum TlsError {
    #[error(
        "which CA? The transport https needs the certificate of the CA that signed the sidecar's: \
         set cryfttee.tls_ca (--cryfttee-tls-ca FILE)"
    )]
    NoCa,
    #[error("read the CA certificates in {path}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} has no CA certificate in it, or one that is damaged: expected PEM", path = path.display())]
    NotCertificates { path: PathBuf },
    #[error("use the CA certificates in {path}", path = path.display())]
    Unusable { path: PathBuf, source: rustls::Error },
}

impl TlsError {
    /// Exit code of the contract.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::NoCa => exit::CONFIG,
            Self::Read { .. } => exit::IO,
            Self::NotCertificates { .. } | Self::Unusable { .. } => exit::DATA,
        }
    }
}

/// A handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// No CA of ours signed the certificate.
    #[error("its certificate is signed by no CA of {}", .0.display())]
    UnknownIssuer(PathBuf),
    /// The certificate's time is over.
    #[error("its certificate has expired")]
    Expired,
    /// The certificate's time has not come.
    #[error("its certificate is not valid yet, or the clock is wrong")]
    NotYet,
    /// The certificate is somebody else's.
    #[error("its certificate is not for {0}: it needs that address as a subject alternative name")]
    OtherName(IpAddr),
    /// Anything else, which includes a server that does not speak TLS.
    #[error("TLS: {0}")]
    Handshake(io::Error),
}

/// What certificates are checked with.
#[derive(Clone)]
pub(super) struct Trust {
    ca: PathBuf,
    config: Arc<ClientConfig>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("ca", &self.ca).finish_non_exhaustive()
    }
}

impl Trust {
    /// Reads the CA certificates of one PEM file.
    pub(super) fn read(ca: &Path) -> Result<Self, TlsError> {
        /// A bundle with every public CA is a quarter of this.
        const MAX: u64 = 1024 * 1024;
        let path = || ca.to_owned();
        let bytes = durable::read(ca, MAX)
            .and_then(|found| found.ok_or_else(|| io::ErrorKind::NotFound.into()))
            .map_err(|source| TlsError::Read { path: path(), source })?;
        let certificates = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
        // What the parser says may quote a line of the file, which may be a private key by mistake.
        let certificates = certificates.map_err(|_| TlsError::NotCertificates { path: path() })?;
        if certificates.is_empty() {
            return Err(TlsError::NotCertificates { path: path() });
        }
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|source| TlsError::Unusable { path: path(), source })?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .map_err(|source| TlsError::Unusable { path: path(), source })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { ca: path(), config: Arc::new(config) })
    }

    /// Shakes hands with the server at `address`, which its certificate has to name.
    pub(super) async fn connect(&self, address: IpAddr, stream: TcpStream) -> Result<TlsStream<TcpStream>, TlsFault> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(ServerName::from(address), stream).await.map_err(|error| self.explain(address, error))
    }

    fn explain(&self, address: IpAddr, error: io::Error) -> TlsFault {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let Some(rustls::Error::InvalidCertificate(why)) = inner else { return TlsFault::Handshake(error) };
        match why {
            // A CA of the right name and another key shows as a bad signature.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                TlsFault::UnknownIssuer(self.ca.clone())
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::NotYet,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::OtherName(address)
            }
            _ => TlsFault::Handshake(error),
        }
    }
}
