//! Withdrawn rights that the stream's relay learns with the answer to its next batch, beside its notices.
//!
//! What always holds: the answer to every batch that is committed after a withdrawal names it, or a wider one, until the
//! relay's next batch shows that the answer arrived.

use super::state::{LogState, PendingWithdrawal};
use alloy_primitives::Address;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::Withdrawal;

/// Most withdrawals in one answer. Beyond it one of everybody's sessions stands for all of them.
pub(crate) const MAX_PENDING_WITHDRAWALS: usize = 64;

impl LogState {
    /// Keeps the withdrawal of these authors' sessions; `None` stands for everybody's.
    pub(super) fn withdraw(&mut self, authors: &[Option<Address>], before: UnixSec) {
        for author in authors {
            self.withdrawn.retain(|known| known.author != *author);
            self.withdrawn.push(PendingWithdrawal {
                author: *author,
                before,
                sent: false,
            });
        }
        if self.withdrawn.len() > MAX_PENDING_WITHDRAWALS {
            self.withdrawn = vec![PendingWithdrawal {
                author: None,
                before,
                sent: false,
            }];
        }
    }

    /// Forgets what the last answer named: the relay has it, for it goes on with another batch.
    pub(super) fn forget_sent_withdrawals(&mut self) {
        self.withdrawn.retain(|one| !one.sent);
    }

    /// Returns what the answer to a batch names.
    pub(super) fn send_withdrawals(&mut self) -> Vec<Withdrawal> {
        let send = |one: &mut PendingWithdrawal| {
            one.sent = true;
            Withdrawal {
                author: one.author,
                before: one.before,
            }
        };
        self.withdrawn.iter_mut().map(send).collect()
    }
}
