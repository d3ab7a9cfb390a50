//! The Stream object's part in who may do what: settings, members, the rights of sessions.

use super::api::{Member, Membership, OpenSession};
use super::object::{Stream, asked};
use crate::auth::bearer as auth;
use crate::objects::relays::api::RelayNotice;
use crate::problem::{Kind, Problem};
use crate::query;
use crate::response::{Answer, json};
use alloy_primitives::Address;
use streamchain_edge_core::stream_log::StreamLog;
use streamchain_protocol::auth::{Right, Rights};
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::stream_settings::{ReadAccess, SettingsChange, WriteAccess};
use streamchain_protocol::wire::{Notice, NoticeEvent};
use worker::Date;

impl Stream {
    /// What decides on what `?account=` may do.
    pub(super) fn access(&self, url: &str) -> Answer {
        let account = query::parameter(url, "account")
            .map(|_| asked(url, "account"))
            .transpose()?;
        json(200, &self.step(|log| log.access(account))?)
    }

    /// What a session may do that is being opened: refused when that is nothing.
    pub(super) fn session_rights(&self, asked: &OpenSession) -> Result<Rights, Problem> {
        let access = self.step(|log| log.access(asked.account))?;
        let mut rights = access.rights(asked.account, asked.operator).and(asked.limit);
        if self.step(StreamLog::state)?.name.is_system() {
            // The system's own streams are written by the system alone, whoever asks.
            rights = rights.and(Rights::of(&[Right::Read]));
        }
        if !rights.has(Right::Write) {
            auth::check(asked.account.is_some(), rights, Right::Read)?;
        }
        Ok(rights)
    }

    /// The database gets the new settings with the next round of the outbox. Where they close what was open, all
    /// sessions begin again, each with the rights that are left to it; asked a second time, again, for the first
    /// answer may be lost.
    pub(super) async fn change_settings(&self, change: &SettingsChange) -> Answer {
        let after = self.step(|log| log.change_settings(change))?;
        if !after.listed {
            self.arm().await?;
        }
        if change.read == Some(ReadAccess::Private) || change.write == Some(WriteAccess::Closed) {
            self.withdraw([None]).await?;
        }
        json(200, &after)
    }

    /// Ends the sessions of these authors, or (`None`) of everybody: their clients open new ones.
    pub(super) async fn withdraw(&self, authors: impl IntoIterator<Item = Option<Address>>) -> Answer {
        let state = self.step(StreamLog::state)?;
        let before = Date::now().as_millis() / 1_000;
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
            let told = |relay: &RelayId| RelayNotice {
                relay: relay.clone(),
                notice: notice.clone(),
            };
            notices.extend(relays.iter().map(told));
        }
        self.tell_relays(notices).await?;
        json(200, &serde_json::json!({}))
    }

    pub(super) fn members(&self) -> Answer {
        let members = self.step(StreamLog::members)?;
        let member = |(address, rights)| Member { address, rights };
        json(200, &members.into_iter().map(member).collect::<Vec<_>>())
    }

    pub(super) fn put_member(&self, member: Address, membership: &Membership) -> Answer {
        let rights = membership.rights;
        self.step(|log| log.put_member(member, rights))?;
        let address = member;
        json(200, &Member { address, rights })
    }

    pub(super) fn drop_member(&self, member: Address) -> Answer {
        self.step(|log| log.drop_member(member))?;
        json(200, &serde_json::json!({}))
    }
}

/// An address in an internal path.
pub(super) fn to_address(text: &str) -> Result<Address, Problem> {
    text.parse().map_err(|_| {
        Problem::new(
            Kind::BadId,
            format!("{text}: expected 0x and 40 hexadecimal digits"),
        )
    })
}
