//! The settings of the archive: when packs are made, and how much the database takes.

use super::env::{ConfigError, Settings};
use streamchain_edge_core::archive::PackRules;

/// Half of the largest pack: what a pass finds is then rarely left over.
const PACK_BYTES: u64 = 4 * 1024 * 1024;
/// A day: a stream with little to say makes a pack a day at most.
const MAX_AGE_MS: u64 = 24 * 3_600_000;
/// Ten minutes: most chains take longer to make an anchor final.
const INTERVAL_MS: u64 = 600_000;
/// What a D1 database takes on a paid plan.
const DATABASE_BYTES: u64 = 10_000_000_000;

/// When packs are made, and how much the database takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArchiveConfig {
    /// When a pack is worth it.
    pub rules: PackRules,
    /// How long it takes from one look at all streams to the next, milliseconds.
    pub interval_ms: u64,
    /// How many bytes the database takes.
    pub database_bytes: u64,
}

impl ArchiveConfig {
    /// The settings that a source holds.
    pub(crate) fn parse(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            rules: PackRules {
                target_bytes: settings.number("ARCHIVE_PACK_BYTES", PACK_BYTES)?,
                max_age_ms: settings.number("ARCHIVE_MAX_AGE_MS", MAX_AGE_MS)?,
            },
            interval_ms: settings.number("ARCHIVE_INTERVAL_MS", INTERVAL_MS)?.max(100),
            database_bytes: settings.number("DATABASE_BYTES", DATABASE_BYTES)?.max(1),
        })
    }
}
