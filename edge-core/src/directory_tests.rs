use super::notices::{
    NOTICE_LIFE_MS, NOTICES_PER_RELAY, RENEW_MORE_MS, WITHDRAWALS_PER_RELAY, WITHDRAWALS_PER_STREAM,
};
use super::*;
use alloy_primitives::Address;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use streamchain_protocol::ids::{SessionId, ShortId};
use streamchain_protocol::limits::{NOTICES_PER_ANSWER, RENEW_IDLE_MS};
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::webrtc::{Candidate, Transport};
use streamchain_protocol::wire::{NoticeEvent, Shard};

#[path = "directory_renewal_tests.rs"]
mod renewals;
#[path = "directory_rounds_tests.rs"]
mod rounds;

const STREAM: ShortId = ShortId([5; 20]);

pub(super) fn id(name: &str) -> RelayId {
    name.parse().unwrap()
}

const KEY: RelayKeyId = RelayKeyId([1; 8]);

pub(super) fn registration(run: u8, sessions: u64) -> Registration {
    let shard = |port| Shard {
        candidates: vec![Candidate {
            transport: Transport::Udp,
            address: IpAddr::from([127, 0, 0, 1]),
            port,
        }],
    };
    Registration {
        incarnation: Incarnation([run; 8]),
        fingerprint: vec!["AB"; 32].join(":"),
        region: "here".into(),
        shards: vec![shard(7100), shard(7101)],
        turn: Vec::new(),
        sessions,
        streams: 0,
        cursor: 0,
        session_ends: false,
        joins: false,
        reads_rounds: false,
        spreads: false,
        mesh: None,
        location: None,
        capacity: None,
        key: None,
    }
}

/// Relays `a`, `b` and `c` with these many sessions, registered at 0.
fn directory(sessions: [u64; 3]) -> Directory {
    let mut directory = Directory::default();
    for (name, sessions) in ["a", "b", "c"].into_iter().zip(sessions) {
        directory
            .register(&id(name), registration(1, sessions), UnixMs(0))
            .unwrap();
    }
    directory
}

pub(super) fn wanted(stream: ShortId, current: Option<&str>) -> Wanted {
    Wanted::of(stream, current.map(id))
}

fn choose(relays: &mut Directory, stream: ShortId, current: Option<&str>, now: UnixMs) -> Option<Chosen> {
    let placed = relays.place(&wanted(stream, current), now)?;
    Some(placed.of_session(SessionId([1; 8])))
}

fn chosen(directory: &mut Directory, current: Option<&str>, now: UnixMs) -> Option<RelayId> {
    choose(directory, STREAM, current, now).map(|chosen| chosen.relay)
}

#[test]
fn a_new_stream_goes_to_the_relay_with_the_fewest_sessions() {
    let mut directory = directory([5, 3, 5]);
    for _ in 0..2 {
        assert_eq!(chosen(&mut directory, None, UnixMs(1)), Some(id("b")));
    }
    let third = chosen(&mut directory, None, UnixMs(1));
    let fourth = chosen(&mut directory, None, UnixMs(1));
    let fifth = chosen(&mut directory, None, UnixMs(1));
    let mut equal = [third.unwrap(), fourth.unwrap(), fifth.unwrap()];
    equal.sort();
    assert_eq!(
        equal,
        [id("a"), id("b"), id("c")],
        "equal loads are taken in turn"
    );
}

#[test]
fn a_stream_stays_with_its_relay_while_that_one_lives() {
    let mut directory = directory([9, 0, 0]);
    assert_eq!(
        chosen(&mut directory, Some("a"), UnixMs(RELAY_LEASE_MS - 1)),
        Some(id("a"))
    );
    directory
        .register(&id("b"), registration(1, 0), UnixMs(RELAY_LEASE_MS))
        .unwrap();
    assert_eq!(
        chosen(&mut directory, Some("a"), UnixMs(RELAY_LEASE_MS)),
        Some(id("b")),
        "a did not renew"
    );
    assert_eq!(
        chosen(&mut directory, Some("a"), UnixMs(2 * RELAY_LEASE_MS)),
        None,
        "nobody did"
    );
}

#[test]
fn the_answer_has_the_addresses_of_the_streams_own_shard() {
    let mut directory = directory([0, 0, 0]);
    let port = |directory: &mut Directory, stream: [u8; 20]| {
        choose(directory, ShortId(stream), Some("a"), UnixMs(0))
            .unwrap()
            .candidates[0]
            .port
    };
    let mut odd = [0; 20];
    odd[3] = 1;
    assert_eq!(port(&mut directory, [0; 20]), 7100);
    assert_eq!(port(&mut directory, odd), 7101);
}

#[test]
fn a_goodbye_counts_unless_it_is_a_predecessors() {
    let mut directory = directory([0, 9, 9]);
    directory
        .register(&id("a"), registration(2, 0), UnixMs(1))
        .unwrap();
    assert!(!directory.goodbye(&id("a"), Some(Incarnation([1; 8]))));
    assert!(directory.goodbye(&id("a"), Some(Incarnation([2; 8]))));
    assert_ne!(chosen(&mut directory, Some("a"), UnixMs(1)), Some(id("a")));
    assert!(!directory.goodbye(&id("a"), None), "it is gone");
}

#[test]
fn only_what_a_restart_needs_is_worth_storing() {
    let mut directory = Directory::default();
    assert!(
        directory
            .register(&id("a"), registration(1, 0), UnixMs(0))
            .unwrap()
    );
    assert!(
        !directory
            .register(&id("a"), registration(1, 7), UnixMs(1))
            .unwrap(),
        "another load"
    );
    assert!(
        directory
            .register(&id("a"), registration(2, 7), UnixMs(2))
            .unwrap(),
        "another run"
    );
    let mut after_restart = Directory::default();
    after_restart.restore(id("a"), registration(2, 7), UnixMs(1_000_000));
    assert_eq!(chosen(&mut after_restart, None, UnixMs(1_000_001)), Some(id("a")));
}

#[test]
fn a_registration_out_of_shape_and_one_too_many_are_refused() {
    let mut directory = Directory::default();
    let wrong = Registration {
        shards: vec![],
        ..registration(1, 0)
    };
    let refused = directory.register(&id("a"), wrong, UnixMs(0));
    assert!(matches!(refused, Err(DirectoryError::Registration(_))));
    for number in 0..MAX_RELAYS {
        directory
            .register(&id(&format!("r{number}")), registration(1, 0), UnixMs(0))
            .unwrap();
    }
    assert_eq!(
        directory.register(&id("more"), registration(1, 0), UnixMs(0)),
        Err(DirectoryError::Full)
    );
    assert!(
        directory
            .register(&id("r1"), registration(1, 0), UnixMs(0))
            .is_ok(),
        "who is in may renew"
    );
}

#[test]
fn a_dead_relay_is_listed_as_dead_and_forgotten_in_an_hour() {
    let mut directory = directory([1, 2, 3]);
    directory
        .register(&id("a"), registration(1, 4), UnixMs(DEAD_LISTED_MS))
        .unwrap();
    let alive: Vec<_> = directory
        .statuses(UnixMs(DEAD_LISTED_MS), |_| KEY)
        .iter()
        .map(|status| status.alive)
        .collect();
    assert_eq!(alive, [true, false, false]);
    assert_eq!(directory.forget_dead(UnixMs(DEAD_LISTED_MS)), []);
    assert_eq!(
        directory.forget_dead(UnixMs(DEAD_LISTED_MS + 1)),
        [id("b"), id("c")]
    );
    assert_eq!(directory.statuses(UnixMs(DEAD_LISTED_MS + 1), |_| KEY).len(), 1);
}

#[test]
fn a_session_is_signed_with_the_key_that_its_relay_has() {
    let mut directory = Directory::default();
    let register = |directory: &mut Directory, key: Option<RelayKeyId>| {
        let with = Registration {
            key,
            ..registration(1, 0)
        };
        directory.register(&id("a"), with, UnixMs(0)).unwrap()
    };
    let old = RelayKeyId([2; 8]);
    for (key, is_old) in [(None, false), (Some(old), true), (Some(KEY), false)] {
        assert!(register(&mut directory, key), "another key is to be stored");
        assert!(!register(&mut directory, key), "and the same is not");
        assert_eq!(choose(&mut directory, STREAM, None, UnixMs(0)).unwrap().key, key);
        assert_eq!(directory.statuses(UnixMs(0), |_| KEY)[0].old_key, is_old);
    }
}

/// Notices in memory.
#[derive(Default)]
struct Notices {
    rows: RefCell<Vec<(RelayId, UnixMs, Numbered)>>,
    withdrawn: RefCell<HashMap<u64, Withdrawn>>,
    last: RefCell<u64>,
}

impl Notices {
    fn drop_where(&self, relay: &RelayId, which: impl Fn(&Withdrawn) -> bool) {
        let withdrawn = self.withdrawn.borrow();
        let dropped = |row: &Numbered| withdrawn.get(&row.number).is_some_and(&which);
        self.rows
            .borrow_mut()
            .retain(|(of, _, row)| of != relay || !dropped(row));
    }
}

impl NoticeStore for Notices {
    type Error = std::convert::Infallible;

    fn add(
        &self,
        relay: &RelayId,
        notice: &Notice,
        withdrawn: Option<&Withdrawn>,
        now: UnixMs,
    ) -> Result<(), Self::Error> {
        if let Some(withdrawn) = withdrawn {
            self.drop_where(relay, |known| known == withdrawn);
            let number = *self.last.borrow() + 1;
            self.withdrawn.borrow_mut().insert(number, withdrawn.clone());
        }
        *self.last.borrow_mut() += 1;
        let numbered = Numbered {
            number: *self.last.borrow(),
            notice: notice.clone(),
        };
        self.rows.borrow_mut().push((relay.clone(), now, numbered));
        Ok(())
    }
    fn withdrawals(&self, relay: &RelayId, stream: Option<ShortId>) -> Result<usize, Self::Error> {
        let withdrawn = self.withdrawn.borrow();
        let wanted = |row: &Numbered| {
            withdrawn
                .get(&row.number)
                .is_some_and(|known| stream.is_none_or(|stream| stream == known.stream))
        };
        let rows = self.rows.borrow();
        Ok(rows
            .iter()
            .filter(|(of, _, row)| of == relay && wanted(row))
            .count())
    }
    fn drop_withdrawals(&self, relay: &RelayId, stream: Option<ShortId>) -> Result<(), Self::Error> {
        self.drop_where(relay, |known| stream.is_none_or(|stream| stream == known.stream));
        Ok(())
    }
    fn last_number(&self) -> Result<u64, Self::Error> {
        Ok(*self.last.borrow())
    }
    fn after(&self, relay: &RelayId, cursor: u64, rows: usize) -> Result<Vec<Numbered>, Self::Error> {
        let all = self.rows.borrow();
        let wanted = all
            .iter()
            .filter(|(owner, _, row)| owner == relay && row.number > cursor);
        Ok(wanted.take(rows).map(|(_, _, row)| row.clone()).collect())
    }
    fn drop_through(&self, relay: &RelayId, cursor: u64) -> Result<(), Self::Error> {
        self.rows
            .borrow_mut()
            .retain(|(owner, _, row)| owner != relay || row.number > cursor);
        Ok(())
    }
    fn prune(&self, relay: &RelayId, before: UnixMs, keep: usize) -> Result<(), Self::Error> {
        let mut rows = self.rows.borrow_mut();
        let withdrawn = self.withdrawn.borrow();
        let kept = |row: &Numbered| withdrawn.contains_key(&row.number);
        rows.retain(|(owner, at, row)| owner != relay || *at >= before || kept(row));
        let mut surplus = rows
            .iter()
            .filter(|(owner, _, row)| owner == relay && !kept(row))
            .count()
            .saturating_sub(keep);
        rows.retain(|(owner, _, row)| {
            let drop = owner == relay && surplus > 0 && !kept(row);
            surplus -= usize::from(drop);
            !drop
        });
        Ok(())
    }
}

fn notices(relay: &str, count: usize) -> Vec<(RelayId, Notice)> {
    let notice = |number: usize| Notice {
        stream: STREAM,
        event: NoticeEvent::SessionEnded {
            session: SessionId((number as u64).to_be_bytes()),
        },
    };
    (0..count).map(|number| (id(relay), notice(number))).collect()
}

#[test]
fn notices_come_again_until_the_relay_says_that_it_has_them() {
    let store = Notices::default();
    post(&store, &notices("a", 2), UnixMs(0)).unwrap();
    post(&store, &notices("b", 1), UnixMs(0)).unwrap();
    let first = renew(&store, &id("a"), 0, 1).unwrap();
    assert_eq!(
        (first.notices.len(), first.cursor, first.renew_after_ms),
        (2, 2, RENEW_BUSY_MS)
    );
    assert_eq!(
        renew(&store, &id("a"), 0, 1).unwrap(),
        first,
        "the answer was lost"
    );
    let second = renew(&store, &id("a"), first.cursor, 0).unwrap();
    assert_eq!(
        (second.notices.len(), second.cursor, second.renew_after_ms),
        (0, 2, RENEW_IDLE_MS)
    );
    assert_eq!(renew(&store, &id("b"), 0, 1).unwrap().notices.len(), 1);
}

#[test]
fn many_notices_come_in_several_answers_soon_after_each_other() {
    let store = Notices::default();
    post(&store, &notices("a", NOTICES_PER_ANSWER + 3), UnixMs(0)).unwrap();
    let first = renew(&store, &id("a"), 0, 1).unwrap();
    assert_eq!(
        (first.notices.len(), first.renew_after_ms),
        (NOTICES_PER_ANSWER, RENEW_MORE_MS)
    );
    let rest = renew(&store, &id("a"), first.cursor, 1).unwrap();
    assert_eq!((rest.notices.len(), rest.renew_after_ms), (3, RENEW_BUSY_MS));
}

#[test]
fn a_cursor_from_before_the_storage_was_cleared_hides_nothing() {
    let store = Notices::default();
    post(&store, &notices("a", 1), UnixMs(0)).unwrap();
    assert_eq!(renew(&store, &id("a"), 4_000, 1).unwrap().notices.len(), 1);
}

#[test]
fn notices_are_kept_ten_minutes_and_ten_thousand_at_most() {
    let store = Notices::default();
    post(&store, &notices("a", NOTICES_PER_RELAY + 5), UnixMs(0)).unwrap();
    assert_eq!(store.rows.borrow().len(), NOTICES_PER_RELAY);
    post(&store, &notices("a", 1), UnixMs(NOTICE_LIFE_MS + 1)).unwrap();
    assert_eq!(store.rows.borrow().len(), 1);
}

fn withdrawal(relay: &str, stream: u8, author: u64, second: u64) -> (RelayId, Notice) {
    let notice = Notice {
        stream: ShortId([stream; 20]),
        event: NoticeEvent::Withdrawn {
            author: Some(Address::left_padding_from(&author.to_be_bytes())),
            authors: Vec::new(),
            before: UnixSec(second),
            again: true,
        },
    };
    (id(relay), notice)
}

/// Whether some waiting notice withdraws at least what `wanted` does.
fn is_withdrawn(store: &Notices, wanted: &(RelayId, Notice)) -> bool {
    let (relay, wanted) = wanted;
    let NoticeEvent::Withdrawn { author, before, .. } = &wanted.event else {
        return false;
    };
    let rows = store.rows.borrow();
    rows.iter().any(|(of, _, row)| {
        let NoticeEvent::Withdrawn {
            author: whose,
            before: until,
            ..
        } = &row.notice.event
        else {
            return false;
        };
        let on = [wanted.stream, ShortId::EVERY].contains(&row.notice.stream);
        of == relay && on && (whose.is_none() || whose == author) && until >= before
    })
}

#[test]
fn withdrawals_outlive_age_and_flood_until_acknowledged() {
    let store = Notices::default();
    let withdrawn = withdrawal("a", 1, 1, 0);
    post(&store, std::slice::from_ref(&withdrawn), UnixMs(0)).unwrap();
    let flood = notices("a", 2 * NOTICES_PER_RELAY);
    post(&store, &flood, UnixMs(NOTICE_LIFE_MS + 1)).unwrap();
    assert!(is_withdrawn(&store, &withdrawn));
    let answer = renew(&store, &id("a"), 0, 1).unwrap();
    assert_eq!(
        answer.notices.first(),
        Some(&withdrawn.1),
        "it is the oldest, so the first"
    );
    renew(&store, &id("a"), answer.cursor, 1).unwrap();
    assert!(!is_withdrawn(&store, &withdrawn), "acknowledged");
}

#[test]
fn a_repeated_withdrawal_takes_the_place_of_the_first() {
    let store = Notices::default();
    for second in 0..1_230 {
        post(&store, &[withdrawal("a", 1, 7, second)], UnixMs(second * 1_000)).unwrap();
    }
    assert_eq!(store.rows.borrow().len(), 1);
    assert!(is_withdrawn(&store, &withdrawal("a", 1, 7, 1_229)));
}

#[test]
fn a_streams_flood_of_withdrawals_widens_its_own_alone() {
    let store = Notices::default();
    let other = withdrawal("a", 2, 1, 0);
    post(&store, std::slice::from_ref(&other), UnixMs(0)).unwrap();
    for author in 0..1_000 {
        post(
            &store,
            &[withdrawal("a", 1, author, author)],
            UnixMs(author * 1_000),
        )
        .unwrap();
    }
    for author in 0..1_000 {
        assert!(
            is_withdrawn(&store, &withdrawal("a", 1, author, author)),
            "{author}"
        );
    }
    let rows = store.rows.borrow();
    assert!(rows.len() <= WITHDRAWALS_PER_STREAM + 2, "{}", rows.len());
    assert!(rows.iter().any(|(_, _, row)| row.notice == other.1));
    assert!(rows.iter().all(|(_, _, row)| row.notice.stream != ShortId::EVERY));
}

#[test]
fn beyond_the_bound_of_a_relay_everybody_begins_again() {
    let store = Notices::default();
    let many = WITHDRAWALS_PER_RELAY as u64 + 5;
    let all: Vec<_> = (0..many).map(|author| withdrawal("a", 0, author, 1)).collect();
    post(&store, &all, UnixMs(1_000)).unwrap();
    assert!(all.iter().all(|one| is_withdrawn(&store, one)));
    assert!(store.rows.borrow().len() <= WITHDRAWALS_PER_RELAY);
}

#[test]
fn a_relay_that_was_forgotten_is_told_by_what_it_sends() {
    let mut directory = Directory::default();
    let first = registration(1, 0);
    assert!(!directory.was_forgotten(&id("a"), &first), "it has just begun");
    let later = Registration { cursor: 9, ..first };
    assert!(directory.was_forgotten(&id("a"), &later));
    directory.register(&id("a"), later.clone(), UnixMs(0)).unwrap();
    assert!(!directory.was_forgotten(&id("a"), &later));
}
