//! The Stream object's part in who may do what: settings, members, the rights of sessions.

use super::object::Stream;
use crate::api::relays::RelayNotice;
use crate::api::stream::{Member, OpenSession, PutMember, RemoveMember};
use crate::clock;
use crate::config::Config;
use crate::problem::{Problem, need_gas, need_right_on};
use alloy_primitives::Address;
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::stream_log::{LogState, StreamLog};
use streamchain_protocol::auth::{Access, Right, Rights};
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::stream_settings::{ReadAccess, SettingsChange, WriteAccess};
use streamchain_protocol::wire::{Notice, NoticeEvent};

impl Stream {
    /// What decides on what an account may do.
    pub(super) fn access(&self, account: Option<Address>) -> Result<Access, Problem> {
        Ok(self.step(|log| log.access(account))?)
    }

    /// What a session may do that is being opened: refused when that is nothing.
    pub(super) fn session_rights(&self, asked: &OpenSession) -> Result<Rights, Problem> {
        let access = self.step(|log| log.access(asked.account))?;
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

    /// The database gets the new settings with the next round of the outbox. Where they close what was open, all
    /// sessions begin again, each with the rights that are left to it; asked a second time, again, for the first
    /// answer may be lost.
    pub(super) async fn change_settings(
        &self,
        id: &RequestId,
        change: &SettingsChange,
    ) -> Result<LogState, Problem> {
        let before = self.state()?;
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let wanted = change.of(before.settings);
        need_gas(&config.gas_owners, before.owner, &before.settings, &wanted)?;
        let after = self.step(|log| log.change_settings(change))?;
        if !after.listed {
            self.arm().await?;
        }
        if change.read == Some(ReadAccess::Private) || change.write == Some(WriteAccess::Closed) {
            self.withdraw(id, [None]).await?;
        }
        Ok(after)
    }

    /// Ends the sessions of these authors, or (`None`) of everybody: their clients open new ones.
    pub(super) async fn withdraw(
        &self,
        id: &RequestId,
        authors: impl IntoIterator<Item = Option<Address>>,
    ) -> Result<(), Problem> {
        let state = self.state()?;
        let before = clock::now().to_sec();
        let leader = state.leader.map(|leader| leader.relay);
        let assigned = state.assigned.filter(|relay| Some(relay) != leader.as_ref());
        let relays: Vec<RelayId> = leader.into_iter().chain(assigned).collect();
        let mut notices = Vec::new();
        for author in authors {
            let event = NoticeEvent::Withdrawn {
                author,
                before,
                again: true,
            };
            let stream = state.id.short();
            let notice = Notice { stream, event };
            let to_relay = |relay: &RelayId| RelayNotice {
                relay: relay.clone(),
                notice: notice.clone(),
            };
            notices.extend(relays.iter().map(to_relay));
        }
        self.post_notices(id, notices).await.map(drop)
    }

    pub(super) fn members(&self) -> Result<Vec<Member>, Problem> {
        let members = self.step(StreamLog::members)?;
        let member = |(address, rights)| Member { address, rights };
        Ok(members.into_iter().map(member).collect())
    }

    pub(super) fn put_member(&self, asked: &PutMember) -> Result<(), Problem> {
        Ok(self.step(|log| log.put_member(asked.address, asked.rights))?)
    }

    pub(super) fn remove_member(&self, asked: &RemoveMember) -> Result<(), Problem> {
        Ok(self.step(|log| log.drop_member(asked.address))?)
    }
}
