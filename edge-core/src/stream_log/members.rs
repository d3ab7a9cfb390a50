//! The stream's members and their rights.

use super::error::{LogError, Refusal};
use super::state::MAX_MEMBERS;
use super::store::{LogStore, Step};
use alloy_primitives::Address;
use streamchain_protocol::auth::Rights;

/// The rows of the members.
pub(super) struct Members<'a, S>(pub(super) &'a S);

impl<S: LogStore> Members<'_, S> {
    /// Returns an account's rights as a member; none when it is not one.
    pub(super) fn rights(&self, account: Option<Address>) -> Result<Rights, S::Error> {
        let Some(account) = account else {
            return Ok(Rights::NONE);
        };
        Ok(self.0.member(account)?.unwrap_or_default())
    }

    /// Gives a member these rights and no others.
    pub(super) fn put(&self, member: Address, rights: Rights) -> Step<(), S> {
        let before = self.0.member(member).map_err(LogError::Store)?;
        if before.is_none() && self.0.members().map_err(LogError::Store)?.len() >= MAX_MEMBERS {
            return Err(Refusal::TooManyMembers.into());
        }
        self.0.put_member(member, rights).map_err(LogError::Store)
    }

    /// Takes a member's rights away.
    pub(super) fn remove(&self, member: Address) -> Step<(), S> {
        let before = self.0.member(member).map_err(LogError::Store)?;
        if before.is_none() {
            return Err(Refusal::NoSuchMember(member).into());
        }
        self.0.drop_member(member).map_err(LogError::Store)
    }
}
