//! Every bound of the TURN server, each with its reason.

/// Lifetime of an allocation unless asked for, seconds (RFC 8656 §3.2).
pub(crate) const LIFETIME_DEFAULT_S: u32 = 600;

/// Longest lifetime of an allocation that is granted, seconds (RFC 8656 §7.2 recommends one hour).
pub(crate) const MAX_LIFETIME_S: u32 = 3_600;

/// Life of a permission, milliseconds (RFC 8656 §9: 300 s).
pub(crate) const PERMISSION_LIFE_MS: u64 = 300_000;

/// Life of a channel, milliseconds (RFC 8656 §12: 600 s).
pub(crate) const CHANNEL_LIFE_MS: u64 = 600_000;

/// How long a nonce is taken, seconds. RFC 8656 §5 wants at least hourly change; a client whose nonce is stale
/// loses one round trip.
pub(crate) const NONCE_LIFE_S: u64 = 600;

/// Most allocations of one user. A browser makes one per network interface, TURN address and transport for
/// every peer connection: a dozen for a tab, and a user may have a few.
pub(crate) const MAX_USER_ALLOCATIONS: usize = 48;

/// Most allocations from one client address (an IPv6 /64 counts as one): an office behind one address.
pub(crate) const MAX_ADDRESS_ALLOCATIONS: usize = 512;

/// Most allocations in all: at about 1 KiB each, 16 MiB.
pub(crate) const MAX_ALLOCATIONS: usize = 16_384;

/// Most channels of one allocation: a client binds one per candidate of its stream's shard, at most 8.
pub(crate) const MAX_CHANNELS: usize = 16;

/// Most permissions of one allocation: as many as a stream's shard has addresses, twice.
pub(crate) const MAX_PERMISSIONS: usize = 16;

/// Most answers per second to requests that carry no valid credentials, for one client address. Keeps a
/// spoofed source from being flooded through us; a browser needs about a dozen in a burst.
pub(crate) const STRANGER_ANSWERS_PER_SECOND: u16 = 100;

/// Counters behind [`STRANGER_ANSWERS_PER_SECOND`]: addresses share them by hash, so that their number, and
/// the memory, is fixed.
pub(crate) const STRANGER_COUNTERS: usize = 4_096;

/// Most packets that wait to be taken out of the machine. The shell takes them out after every input, which
/// yields at most two; beyond this they are dropped, as UDP may.
pub(crate) const MAX_OUTPUTS: usize = 1_024;
