//! TLS of links: both ends show a self-signed certificate, which the other knows by its SHA-256 fingerprint.
//!
//! What always holds: who connects reaches the one certificate that it was told of, or nobody; who is connected to knows the certificate,
//! and leaves it to the ticket whether that may follow.

use super::limits::{
    CONNECTION_WINDOW_BYTES, FIRST_ROUND_TRIP, KEEP_ALIVE_INTERVAL, LONGEST_SILENCE, MAX_LINKS,
    MAX_UNPROVEN_LINKS, STREAM_WINDOW_BYTES, UNPROVEN_WINDOW_BYTES,
};
use anyhow::{Context, Result};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::sync::Arc;
use std::time::Duration;
use str0m::config::DtlsCert;

/// The protocol, and its version.
const ALPN: &[u8] = b"streamchain-link/1";

/// The name that connections ask for, which nobody reads: relays are known by their fingerprints.
pub(super) const SERVER_NAME: &str = "relay.invalid";

/// Longest certificate that is looked at, bytes: a self-signed one has a few hundred.
const MAX_CERTIFICATE_BYTES: usize = 4 * 1024;

/// SHA-256 of a link certificate.
pub(super) type Fingerprint = [u8; 32];

/// The fingerprint of a certificate.
pub(super) fn fingerprint_of(certificate: &[u8]) -> Fingerprint {
    let mut fingerprint = [0; 32];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    fingerprint.copy_from_slice(digest.as_ref());
    fingerprint
}

/// The fingerprint of the certificate that the other end of a connection has shown.
pub(super) fn fingerprint_of_peer(connection: &quinn::Connection) -> Option<Fingerprint> {
    let identity = connection.peer_identity()?;
    let certificates = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    certificates
        .first()
        .map(|certificate| fingerprint_of(certificate))
}

/// What this relay shows.
pub(super) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl Identity {
    pub(super) fn new(certificate: DtlsCert) -> Self {
        Self {
            certificate: certificate.certificate.into(),
            key: certificate.private_key.into(),
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
        }
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone_key())
    }

    /// For connections of others: any certificate is taken, and the connection has little until it shows a ticket.
    pub(super) fn server_config(&self) -> Result<quinn::ServerConfig> {
        let verifier = Arc::new(AnyCertificate(Arc::clone(&self.provider)));
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate.clone()], self.key())
            .context("the link certificate is not usable")?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
        config.migration(false).transport_config(Arc::new(transport(
            MAX_UNPROVEN_LINKS,
            UNPROVEN_WINDOW_BYTES,
            LONGEST_SILENCE,
        )?));
        Ok(config)
    }

    /// For a connection to the relay with this certificate, which may be silent for so long.
    pub(super) fn client_config(
        &self,
        pinned: Fingerprint,
        silence: Duration,
    ) -> Result<quinn::ClientConfig> {
        let provider = Arc::clone(&self.provider);
        let mut tls = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { pinned, provider }))
            .with_client_auth_cert(vec![self.certificate.clone()], self.key())?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.resumption = Resumption::disabled();
        tls.enable_sni = false;
        let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        config.transport_config(Arc::new(transport(MAX_LINKS, CONNECTION_WINDOW_BYTES, silence)?));
        Ok(config)
    }
}

/// What a connection may have, and how long the other end may be silent: of what its two ends say, the shorter time.
fn transport(links: u32, window: u32, silence: Duration) -> Result<quinn::TransportConfig> {
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(links.into())
        .max_concurrent_uni_streams(0_u8.into())
        .datagram_receive_buffer_size(None)
        .stream_receive_window(STREAM_WINDOW_BYTES.into())
        .receive_window(window.into())
        .send_window(CONNECTION_WINDOW_BYTES.into())
        .initial_rtt(FIRST_ROUND_TRIP)
        .keep_alive_interval(Some(KEEP_ALIVE_INTERVAL))
        .max_idle_timeout(Some(silence.try_into()?));
    Ok(transport)
}

/// Takes the one certificate that the edge has named.
#[derive(Debug)]
struct Pinned {
    pinned: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match fingerprint_of(certificate) == self.pinned {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("links have TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Takes any certificate whose key the other end has; which one it is, the ticket is compared with.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match others.is_empty() && certificate.len() <= MAX_CERTIFICATE_BYTES {
            true => Ok(ClientCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("links have TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
