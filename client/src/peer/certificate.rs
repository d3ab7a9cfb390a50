//! The certificate that a client proves itself with in the DTLS handshake.

use std::sync::Arc;
use str0m::config::{CryptoProvider, DtlsCert};
use streamchain_protocol::auth::FingerprintHash;

/// A client's certificate; many clients may share one.
#[derive(Clone)]
pub struct Identity {
    pub(super) certificate: DtlsCert,
    pub(super) crypto: Arc<CryptoProvider>,
}

impl Identity {
    /// Returns an identity with this certificate.
    pub fn new(certificate: DtlsCert, crypto: Arc<CryptoProvider>) -> Self {
        Self { certificate, crypto }
    }

    /// Makes a certificate; `None` when the cryptography library fails.
    pub fn make() -> Option<Self> {
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        let certificate = crypto.dtls_provider.generate_certificate()?;
        Some(Self::new(certificate, crypto))
    }

    /// Returns the certificate's fingerprint as the edge signs it into a session token.
    pub fn fingerprint_hash(&self) -> FingerprintHash {
        FingerprintHash::of(&self.crypto.sha256_provider.sha256(&self.certificate.certificate))
    }
}
