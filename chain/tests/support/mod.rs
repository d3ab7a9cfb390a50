//! A chain, a node and a store that live in memory, to drive the machines on a virtual clock.

#![allow(dead_code, missing_docs, reason = "each test file uses its part")]
#![allow(unreachable_pub, reason = "shared by several test crates")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

pub mod anchoring;
pub mod fake_chain;
pub mod fake_contract;
pub mod listening;
pub mod rounds;
pub mod scale;

/// What happens to one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The process dies before the command has any effect.
    CrashBefore,
    /// The process dies when the command has had its effect, before the machine hears of it.
    CrashAfter,
    /// The command fails without effect.
    FailBefore,
    /// The command has its effect and is reported as failed.
    FailAfter,
    /// The command has a part of its effect, where it has parts, and is reported as failed.
    FailHalfway,
}

impl Fault {
    pub const ALL: [Fault; 5] = [
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::FailHalfway,
    ];

    /// Whether the machine is told that the command failed.
    pub fn is_failure(self) -> bool {
        matches!(self, Fault::FailBefore | Fault::FailAfter | Fault::FailHalfway)
    }
}
