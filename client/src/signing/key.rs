//! A P-256 key pair, and the file that keeps it.

use crate::core::{Fatal, SignGroups};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use streamchain_protocol::signed::{Point, PublicKey, Signature};

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Base64 characters in a line of PEM (RFC 7468).
const PEM_LINE: usize = 64;

/// Most bytes that are read of a file with a key: one has about 240.
const MAX_FILE_BYTES: u64 = 16 * 1024;

/// A P-256 key pair that signs with ECDSA and SHA-256.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public).finish()
    }
}

impl SignGroups for SigningKey {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, bytes: &[u8]) -> Option<Signature> {
        let signed = self.pair.sign(&SystemRandom::new(), bytes).ok()?;
        signed.as_ref().try_into().ok().map(Signature)
    }
}

/// Returns whether a key signed these bytes.
pub fn verify(key: &PublicKey, bytes: &[u8], signature: &Signature) -> bool {
    let Ok(point) = key.point() else {
        return false;
    };
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.to_uncompressed());
    key.verify(bytes, &signature.0).is_ok()
}

impl SigningKey {
    fn of_pair(pair: EcdsaKeyPair) -> Option<Self> {
        let (_, coordinates) = pair.public_key().as_ref().split_first()?;
        let (x, y) = coordinates.split_first_chunk::<32>()?;
        let point = Point {
            x: *x,
            y: y.try_into().ok()?,
        };
        let public = PublicKey::of_point(&point);
        Some(Self { pair, public })
    }

    /// Makes a key; `None` when the cryptography library fails.
    pub fn generate() -> Option<Self> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .ok()
            .and_then(Self::of_pair)
    }

    /// Reads the key in a file; makes one, which only the file's owner may read, where there is none.
    pub fn of_file(file: &Path) -> Result<Self, Fatal> {
        let failed = |error: &dyn fmt::Display| Fatal::System(format!("{}: {error}", file.display()));
        match Self::read(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Self::write_new(file).map_err(|error| failed(&error))?;
                // Another process may have been first: its key counts.
                Self::read(file).map_err(|error| failed(&error))
            }
            read => read.map_err(|error| failed(&error)),
        }
    }

    fn read(file: &Path) -> Result<Self, Error> {
        let file = File::open(file)?;
        check_mode(&file)?;
        let mut text = String::new();
        file.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
        Self::of_pem(&text).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidData,
                "expected a P-256 private key (PKCS #8 as PEM)",
            )
        })
    }

    fn of_pem(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once(BEGIN)?;
        let (base64, _) = rest.split_once(END)?;
        let base64: String = base64.split_ascii_whitespace().collect();
        let der = STANDARD.decode(base64).ok()?;
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
            .ok()
            .and_then(Self::of_pair)
    }

    fn to_pem(&self) -> Option<String> {
        let der = self.pair.to_pkcs8v1().ok()?;
        let base64 = STANDARD.encode(der.as_ref());
        let mut text = format!("{BEGIN}\n");
        let mut rest = base64.as_str();
        while !rest.is_empty() {
            let (line, behind) = rest.split_at_checked(PEM_LINE).unwrap_or((rest, ""));
            text.push_str(line);
            text.push('\n');
            rest = behind;
        }
        text.push_str(END);
        text.push('\n');
        Some(text)
    }

    /// Writes a new key: whole, and never over a file that is there.
    fn write_new(file: &Path) -> Result<(), Error> {
        let failed = || Error::other("the cryptography library makes no key");
        let text = Self::generate()
            .as_ref()
            .and_then(Self::to_pem)
            .ok_or_else(failed)?;
        let temporary = beside(
            file,
            &format!("{:016x}.new", getrandom::u64().map_err(Error::other)?),
        );
        let mut new = private_file().create_new(true).open(&temporary)?;
        let written = new
            .write_all(text.as_bytes())
            .and_then(|()| new.sync_all())
            .and_then(|()| std::fs::hard_link(&temporary, file));
        let _ = std::fs::remove_file(&temporary);
        match written {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            written => written,
        }
    }
}

/// A file next to this one, whose name goes on with a dot and `more`.
pub(super) fn beside(file: &Path, more: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(more);
    name.into()
}

/// Options of a file that only its owner may read and write, if it is new.
pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn check_mode(file: &File) -> Result<(), Error> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions());
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::PermissionDenied,
        format!(
            "others than its owner may use this file (mode {:o}): expected 600",
            mode & 0o777
        ),
    ))
}

#[cfg(not(unix))]
fn check_mode(_: &File) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("author.key");
        let made = SigningKey::of_file(&file).unwrap();
        let again = SigningKey::of_file(&file).unwrap();
        assert_eq!(made.public_key(), again.public_key());
        let signature = again.sign(b"bytes").unwrap();
        assert!(verify(&made.public_key(), b"bytes", &signature));
        assert!(!verify(&made.public_key(), b"other", &signature));
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing else is left there");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("author.key");
        SigningKey::of_file(&file).unwrap();
        let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        mode(0o640);
        let refused = SigningKey::of_file(&file).unwrap_err().to_string();
        assert!(refused.contains("mode 640"), "{refused}");
        mode(0o400);
        SigningKey::of_file(&file).unwrap();
    }

    #[test]
    fn what_is_no_key_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notes.txt");
        private_file()
            .create_new(true)
            .open(&file)
            .unwrap()
            .write_all(b"notes")
            .unwrap();
        assert!(SigningKey::of_file(&file).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"notes");
    }
}
