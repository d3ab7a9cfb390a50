//! The Stream object's part in who may do what: settings, members, the rights of sessions.

use super::object::Stream;
use crate::api::relays::RelayNotice;
use crate::api::stream::{Member, OpenSession, PutMember, RemoveMember};
use crate::clock;
use crate::config::Config;
use crate::problem::{Kind, Problem, need_gas, need_right_on};
use alloy_primitives::Address;
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::stream_log::{LogState, StreamLog};
use streamchain_protocol::auth::{Access, Right, Rights};
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::stream_settings::{ReadAccess, SettingsChange, WriteAccess};
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::{Notice, NoticeEvent};

impl Stream {
    /// What decides on what an account may do.
    pub(super) fn access(&self, account: Option<Address>) -> Result<Access, Problem> {
        Ok(self.look(|log| log.access(account))?)
    }

    /// What a session may do that is being opened: refused when that is nothing.
    pub(super) fn session_rights(&self, asked: &OpenSession) -> Result<Rights, Problem> {
        let access = self.look(|log| log.access(asked.account))?;
        let mut rights = access.rights(asked.account, asked.operator).and(asked.limit);
        if self.state()?.name.is_system() {
            // The system's own streams are written by the system alone, whoever asks.
            rights = rights.and(Rights::of(&[Right::Read]));
        }
        if !rights.has(Right::Write) {
            need_right_on(&access, asked.account.is_some(), rights, Right::Read)?;
        }
        Ok(rights)
    }

    /// The database gets the new settings with the next round of the outbox. Where they close what was open, or say what has to
    /// be signed, all sessions begin again, each with the rights that are left to it; asked a second time, again, for the first
    /// answer may be lost.
    pub(super) async fn change_settings(
        &self,
        id: &RequestId,
        change: &SettingsChange,
    ) -> Result<LogState, Problem> {
        let before = self.state()?;
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        if before.name.is_system() && change.retention.is_some() {
            let detail = "retention: nothing is erased from the system's own streams";
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        if before.name.is_system() && change.signed.is_some() {
            let detail = "signed: the system does not sign what it writes to its own streams";
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        let wanted = change.of(before.settings);
        need_gas(&config.gas_owners, before.owner, &before.settings, &wanted)?;
        let after = self.step(|log| log.change_settings(change))?;
        // Relays learn what has to be signed when they acquire the epoch again, which the end of all sessions has them do.
        let closes = change.read == Some(ReadAccess::Private)
            || change.write == Some(WriteAccess::Closed)
            || change.signed.is_some();
        // No await between the steps, so no batch is answered and no reader woken between them.
        let notices = match closes {
            true => self.begin_withdrawal(&[None])?,
            false => Vec::new(),
        };
        if !after.listed {
            self.arm().await?;
        }
        if closes {
            self.post_notices(id, notices).await?;
        }
        Ok(after)
    }

    /// Ends the sessions of these authors, or (`None`) of everybody: their clients open new ones.
    pub(super) async fn withdraw(
        &self,
        id: &RequestId,
        authors: impl IntoIterator<Item = Option<Address>>,
    ) -> Result<(), Problem> {
        let authors: Vec<Option<Address>> = authors.into_iter().collect();
        if authors.is_empty() {
            return Ok(());
        }
        let notices = self.begin_withdrawal(&authors)?;
        self.post_notices(id, notices).await.map(drop)
    }

    /// What of a withdrawal is done in one turn: readers who wait are checked again, and the answer to the relay's next
    /// batch names it. Returns the notices that are still to be posted.
    fn begin_withdrawal(&self, authors: &[Option<Address>]) -> Result<Vec<RelayNotice>, Problem> {
        let before = clock::now().to_sec();
        let state = self.step(|log| log.withdraw(authors, before))?;
        for author in authors {
            self.mailboxes.borrow_mut().withdraw(*author);
        }
        self.waiters.notify();
        let notice = Notice {
            stream: state.id.short(),
            event: withdrawn(authors, before),
        };
        let to_relay = |relay: &RelayId| RelayNotice {
            relay: relay.clone(),
            notice: notice.clone(),
        };
        Ok(state.relays().iter().map(to_relay).collect())
    }

    pub(super) fn members(&self) -> Result<Vec<Member>, Problem> {
        let members = self.look(StreamLog::members)?;
        let member = |(address, rights)| Member { address, rights };
        Ok(members.into_iter().map(member).collect())
    }

    /// The sessions of the member and of its services end, to be opened again with the rights that hold then; also
    /// where the change is refused, for the answer to an earlier one may be lost.
    pub(super) async fn put_member(&self, id: &RequestId, asked: &PutMember) -> Result<(), Problem> {
        let put = self.step(|log| log.put_member(asked.address, asked.rights));
        self.withdraw(id, sessions_of(asked.address, &asked.services))
            .await?;
        Ok(put?)
    }

    pub(super) async fn remove_member(&self, id: &RequestId, asked: &RemoveMember) -> Result<(), Problem> {
        let removed = self.step(|log| log.drop_member(asked.address));
        self.withdraw(id, sessions_of(asked.address, &asked.services))
            .await?;
        Ok(removed?)
    }
}

/// The authors whose sessions depend on a member's rights.
fn sessions_of(member: Address, services: &[Address]) -> Vec<Option<Address>> {
    let services = services.iter().copied();
    std::iter::once(member).chain(services).map(Some).collect()
}

/// One notice for all of these authors' sessions. An entry that stands for everybody makes it everybody's.
fn withdrawn(authors: &[Option<Address>], before: UnixSec) -> NoticeEvent {
    let named: Option<Vec<Address>> = authors.iter().copied().collect();
    let (author, authors) = match named.as_deref() {
        Some([one]) => (Some(*one), Vec::new()),
        Some(several) => (None, several.to_vec()),
        None => (None, Vec::new()),
    };
    NoticeEvent::Withdrawn {
        author,
        authors,
        before,
        again: true,
    }
}
