//! The file that keeps a producer's chain of groups for a later run.
//!
//! What always holds: a group is in the file before it is sent; a line that was not written whole is of a group that was not
//! sent. One process has the file at a time.
//!
//! That holds however the process ends. A file that was begun or written anew is also on the disk, whole, before it takes the place of
//! the one before. Groups that are added are not: to wait for the disk takes longer than to sign and send them. When the machine itself
//! loses power, the newest groups (on Linux those of the last half minute or so) may be missing, and the producer then can't
//! be gone on with if they were stored: the stream refuses others in their place, and never stores two.

use super::key::{beside, private_file};
use crate::core::{Fatal, KeptChain, SealedGroup};
use std::fmt::{self, Display, Write as _};
use std::fs::{File, TryLockError};
use std::io::{Error, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use streamchain_protocol::ids::{ProducerId, StreamId};

/// Lines that are added before the file is written anew without those that are needed no more.
const MAX_LINES: usize = 1_024;

/// How often a file that is written anew while it is being opened is opened again: each time another process began with it and ended.
const MAX_OPENS: usize = 16;

/// The word that begins the line with what is stored.
const STORED: &str = "stored";

/// A file that is open, and locked.
#[derive(Debug)]
pub struct ChainFile {
    path: PathBuf,
    file: File,
    lines: usize,
}

impl ChainFile {
    /// Opens the file of a producer's chain on a stream, beside the key's file; returns the chain that it has.
    pub fn open(key: &Path, stream: StreamId, producer: ProducerId) -> Result<(Self, KeptChain), Fatal> {
        let name = format!("{}.{}.chain", stream.short(), producer.to_hex());
        Self::open_at(beside(key, &name))
    }

    fn open_at(path: PathBuf) -> Result<(Self, KeptChain), Fatal> {
        let failed = |error: &dyn Display| Fatal::System(format!("{}: {error}", path.display()));
        let open = || private_file().create(true).truncate(false).open(&path);
        let mut file = open_locked(open, &path).map_err(|error| failed(&error))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|error| failed(&error))?;
        let chain = parse(&text).map_err(|line| failed(&format!("line {line} can't be read")))?;
        let mut opened = Self { path, file, lines: 0 };
        // Also drops a line that was not written whole.
        opened.rewrite(&chain)?;
        Ok((opened, chain))
    }

    fn failed(&self, error: &dyn Display) -> Fatal {
        Fatal::System(format!("{}: {error}", self.path.display()))
    }

    /// Adds groups, for whatever run of this machine comes next; does not wait for the disk.
    pub(crate) fn append(&mut self, groups: &[SealedGroup]) -> Result<(), Fatal> {
        let mut text = String::new();
        for group in groups {
            line_of(group, &mut text).map_err(|error| self.failed(&error))?;
        }
        self.lines += groups.len();
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|error| self.failed(&error))
    }

    /// Returns whether it should be written anew.
    pub(crate) fn is_long(&self) -> bool {
        self.lines > MAX_LINES
    }

    /// Writes it anew, whole or not at all, also when the machine loses power.
    pub(crate) fn rewrite(&mut self, chain: &KeptChain) -> Result<(), Fatal> {
        let mut text = format!("{STORED} {} {}\n", chain.stored, chain.digest);
        for group in &chain.groups {
            line_of(group, &mut text).map_err(|error| self.failed(&error))?;
        }
        let temporary = beside(&self.path, "new");
        let write = || -> Result<File, Error> {
            let mut new = private_file().create(true).truncate(true).open(&temporary)?;
            lock(&new)?;
            new.write_all(text.as_bytes())?;
            // Else the name may be on the disk before the text is, and the old text is gone.
            new.sync_data()?;
            std::fs::rename(&temporary, &self.path)?;
            sync_folder_of(&self.path)?;
            Ok(new)
        };
        self.file = write().map_err(|error| self.failed(&error))?;
        // Groups that are not stored stay: they must not be what makes it long.
        self.lines = 0;
        Ok(())
    }
}

/// Opens the file at this path and locks it. Who has it may write it anew in between, and so leave the lock of a file that is at the path
/// no longer.
fn open_locked(mut open: impl FnMut() -> Result<File, Error>, path: &Path) -> Result<File, Error> {
    for _ in 0..MAX_OPENS {
        let file = open()?;
        lock(&file)?;
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
    Err(others())
}

fn lock(file: &File) -> Result<(), Error> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(others()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn others() -> Error {
    Error::new(
        ErrorKind::WouldBlock,
        "another process publishes under this producer id",
    )
}

/// Whether the path is this file's name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> Result<bool, Error> {
    use std::os::unix::fs::MetadataExt;
    let opened = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> Result<bool, Error> {
    Ok(true)
}

/// Waits until the names in the file's folder are on the disk. Elsewhere than on Unix a folder can't be opened as a file.
#[cfg(unix)]
fn sync_folder_of(path: &Path) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_data()
}

#[cfg(not(unix))]
fn sync_folder_of(_: &Path) -> Result<(), Error> {
    Ok(())
}

fn line_of(group: &SealedGroup, out: &mut String) -> fmt::Result {
    let SealedGroup {
        first,
        count,
        previous,
        digest,
        signature,
    } = group;
    writeln!(out, "{first} {count} {previous} {digest} {signature}")
}

/// The chain that a text says; else the number of the line that is wrong. An unfinished last line is left out.
fn parse(text: &str) -> Result<KeptChain, usize> {
    let mut chain = KeptChain::default();
    let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
    for (index, line) in whole.lines().enumerate() {
        let mut words = line.split(' ');
        let read = match words.next() {
            Some(STORED) if index == 0 => stored(&mut words, &mut chain),
            Some(first) => group(first, &mut words)
                .filter(|group| follows(&chain, group))
                .map(|group| {
                    chain.groups.push(group);
                }),
            None => None,
        };
        read.ok_or(index + 1)?;
    }
    Ok(chain)
}

fn follows(chain: &KeptChain, group: &SealedGroup) -> bool {
    let (next, digest) = chain
        .groups
        .last()
        .map_or((chain.stored, chain.digest), |last| (last.end(), last.digest));
    group.first == next && group.previous == digest && group.count > 0
}

fn stored<'a>(words: &mut impl Iterator<Item = &'a str>, chain: &mut KeptChain) -> Option<()> {
    chain.stored = next(words)?;
    chain.digest = next(words)?;
    Some(())
}

fn group<'a>(first: &str, words: &mut impl Iterator<Item = &'a str>) -> Option<SealedGroup> {
    Some(SealedGroup {
        first: first.parse().ok()?,
        count: next(words)?,
        previous: next(words)?,
        digest: next(words)?,
        signature: next(words)?,
    })
}

fn next<'a, T: FromStr>(words: &mut impl Iterator<Item = &'a str>) -> Option<T> {
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::B256;
    use streamchain_protocol::signed::Signature;

    fn group(first: u64, count: u16, previous: u8, digest: u8) -> SealedGroup {
        SealedGroup {
            first,
            count,
            previous: B256::repeat_byte(previous),
            digest: B256::repeat_byte(digest),
            signature: Signature([9; 64]),
        }
    }

    #[test]
    fn what_was_appended_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain");
        let (mut file, empty) = ChainFile::open_at(path.clone()).unwrap();
        assert_eq!(empty, KeptChain::default());
        file.append(&[group(0, 2, 0, 1), group(2, 1, 1, 2)]).unwrap();
        assert!(ChainFile::open_at(path.clone()).is_err(), "one process has it");
        drop(file);
        // The machine stopped in the middle of a line.
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("3 1 0x02");
        std::fs::write(&path, text).unwrap();
        let (mut file, kept) = ChainFile::open_at(path.clone()).unwrap();
        assert_eq!(kept.groups, [group(0, 2, 0, 1), group(2, 1, 1, 2)]);
        file.append(&[group(3, 4, 2, 3)]).unwrap();
        let kept = KeptChain {
            stored: 3,
            digest: B256::repeat_byte(2),
            groups: vec![group(3, 4, 2, 3)],
        };
        file.rewrite(&kept).unwrap();
        file.append(&[group(7, 1, 3, 4)]).unwrap();
        drop(file);
        let (_, again) = ChainFile::open_at(path).unwrap();
        assert_eq!((again.stored, again.groups.len()), (3, 2));
    }

    #[cfg(unix)]
    #[test]
    fn who_opened_it_before_it_was_written_anew_does_not_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain");
        let (mut file, chain) = ChainFile::open_at(path.clone()).unwrap();
        let open = || private_file().open(&path);
        // Another process has opened it, and locks it only after it was written anew.
        let mut early = Some(open().unwrap());
        file.rewrite(&chain).unwrap();
        let opened = open_locked(|| early.take().map_or_else(open, Ok), &path);
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut early = Some(open().unwrap());
        file.rewrite(&chain).unwrap();
        drop(file);
        let mut opened = open_locked(|| early.take().map_or_else(open, Ok), &path).unwrap();
        let mut text = String::new();
        opened.read_to_string(&mut text).unwrap();
        assert_eq!(text, std::fs::read_to_string(&path).unwrap());
    }

    #[test]
    fn a_chain_with_a_hole_is_refused() {
        for text in [
            "x\n".to_owned(),
            format!("stored 1 {}\nstored 2 {}\n", B256::ZERO, B256::ZERO),
            {
                let mut text = String::new();
                line_of(&group(1, 1, 0, 1), &mut text).unwrap();
                text
            },
        ] {
            assert!(parse(&text).is_err(), "{text}");
        }
    }
}
