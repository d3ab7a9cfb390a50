//! The relay's long-lived certificates: of DTLS, and of links to other relays.
//!
//! The edge hands their fingerprints out before a client or a relay ever reaches us, so they must stay the same as
//! long as any such answer may be used: they are kept on disk, readable by the relay alone.

use anyhow::{Context, Result};
use std::fs;
use std::io::Write;
use std::path::Path;
use str0m::config::{CryptoProvider, DtlsCert};
use streamchain_protocol::webrtc::format_fingerprint;

/// The names of a certificate's file and of its key's.
pub(crate) type Files = (&'static str, &'static str);

/// The files of the DTLS certificate.
pub(crate) const DTLS_FILES: Files = ("certificate.der", "key.der");

/// The files of the link certificate.
pub(crate) const LINK_FILES: Files = ("link-certificate.der", "link-key.der");

/// Reads a certificate from `folder`, or makes one and keeps it there.
pub(crate) fn load_or_make(folder: &Path, files: Files, crypto: &CryptoProvider) -> Result<DtlsCert> {
    let (certificate_path, key_path) = (folder.join(files.0), folder.join(files.1));
    if certificate_path.exists() && key_path.exists() {
        return Ok(DtlsCert {
            certificate: read(&certificate_path)?,
            private_key: read(&key_path)?,
        });
    }
    fs::create_dir_all(folder).with_context(|| format!("--state {}: can't be made", folder.display()))?;
    let made = make(crypto)?;
    write_private(&key_path, &made.private_key)?;
    write_private(&certificate_path, &made.certificate)?;
    Ok(made)
}

/// Makes a new self-signed certificate.
pub fn make(crypto: &CryptoProvider) -> Result<DtlsCert> {
    crypto
        .dtls_provider
        .generate_certificate()
        .context("the DTLS certificate could not be made")
}

/// A certificate's SHA-256 fingerprint, `AB:CD:…` (RFC 8122).
pub fn fingerprint(certificate: &DtlsCert, crypto: &CryptoProvider) -> String {
    format_fingerprint(&crypto.sha256_provider.sha256(&certificate.certificate))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{}: can't be read", path.display()))
}

/// Whole or not at all, and for the owner's eyes only.
fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("{}: can't be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let crypto = str0m::crypto::from_feature_flags();
        let state = folder.path().join("state");
        let load = |files| fingerprint(&load_or_make(&state, files, &crypto).unwrap(), &crypto);
        assert_eq!(load(DTLS_FILES), load(DTLS_FILES));
        assert_ne!(load(DTLS_FILES), load(LINK_FILES), "each has a key of its own");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(state.join(DTLS_FILES.1))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
