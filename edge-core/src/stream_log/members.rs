//! Who may do what: the stream's settings and its members.
//!
//! What always holds: the database's table of streams is written again after every change of the settings
//! (`listed` goes back to false with it).

use super::{LogError, LogState, LogStore, Refusal, Step, StreamLog};
use alloy_primitives::Address;
use streamchain_protocol::auth::{Access, Rights};
use streamchain_protocol::stream_settings::SettingsChange;

/// Most members of one stream: the list is answered as a whole.
pub const MEMBERS_MAX: usize = 1_000;

impl<S: LogStore> StreamLog<S> {
    /// What decides on what `account` may do.
    pub fn access(&self, account: Option<Address>) -> Step<Access, S> {
        let state = self.state()?;
        let member = match account {
            Some(account) => self.store.member(account).map_err(LogError::Store)?,
            None => None,
        };
        Ok(Access {
            owner: state.owner,
            settings: state.settings,
            member: member.unwrap_or_default(),
        })
    }

    /// Changes the settings.
    pub fn change_settings(&self, change: &SettingsChange) -> Step<LogState, S> {
        let mut state = self.state()?;
        let settings = change.of(state.settings);
        if settings != state.settings {
            state.settings = settings;
            state.listed = false;
            self.save(&state)?;
        }
        Ok(state)
    }

    /// All members.
    pub fn members(&self) -> Step<Vec<(Address, Rights)>, S> {
        self.state()?;
        self.store.members().map_err(LogError::Store)
    }

    /// Gives a member these rights and no others.
    pub fn put_member(&self, member: Address, rights: Rights) -> Step<(), S> {
        self.state()?;
        let before = self.store.member(member).map_err(LogError::Store)?;
        if before.is_none() && self.store.members().map_err(LogError::Store)?.len() >= MEMBERS_MAX {
            return Err(Refusal::TooManyMembers.into());
        }
        self.store.put_member(member, rights).map_err(LogError::Store)
    }

    /// Takes a member's rights away.
    pub fn drop_member(&self, member: Address) -> Step<(), S> {
        self.state()?;
        let before = self.store.member(member).map_err(LogError::Store)?;
        if before.is_none() {
            return Err(Refusal::NoSuchMember(member).into());
        }
        self.store.drop_member(member).map_err(LogError::Store)
    }
}
