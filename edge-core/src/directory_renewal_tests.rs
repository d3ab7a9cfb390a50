//! What renewals cost when there are many relays.

use super::*;
use std::cell::Cell;
use streamchain_protocol::ids::SessionId;

/// Notices in memory whose statements are counted.
#[derive(Default)]
struct Counted {
    notices: Notices,
    statements: Cell<usize>,
}

impl Counted {
    fn count(&self) -> &Notices {
        self.statements.set(self.statements.get() + 1);
        &self.notices
    }
}

impl NoticeStore for Counted {
    type Error = std::convert::Infallible;

    fn add(
        &self,
        relay: &RelayId,
        notice: &Notice,
        withdrawn: Option<&Withdrawn>,
        now: UnixMs,
    ) -> Result<(), Self::Error> {
        self.count().add(relay, notice, withdrawn, now)
    }
    fn withdrawals(&self, relay: &RelayId, stream: Option<ShortId>) -> Result<usize, Self::Error> {
        self.count().withdrawals(relay, stream)
    }
    fn drop_withdrawals(&self, relay: &RelayId, stream: Option<ShortId>) -> Result<(), Self::Error> {
        self.count().drop_withdrawals(relay, stream)
    }
    fn last_number(&self) -> Result<u64, Self::Error> {
        self.count().last_number()
    }
    fn after(&self, relay: &RelayId, cursor: u64, rows: usize) -> Result<Vec<Numbered>, Self::Error> {
        self.count().after(relay, cursor, rows)
    }
    fn drop_through(&self, relay: &RelayId, cursor: u64) -> Result<(), Self::Error> {
        self.count().drop_through(relay, cursor)
    }
    fn prune(&self, relay: &RelayId, before: UnixMs, keep: usize) -> Result<(), Self::Error> {
        self.count().prune(relay, before, keep)
    }
}

/// A directory with so many relays, and the mail for them.
struct Object {
    directory: Directory,
    mail: Mail,
    store: Counted,
}

impl Object {
    fn with(relays: usize) -> Self {
        let mut object = Self {
            directory: Directory::default(),
            mail: Mail::of([]),
            store: Counted::default(),
        };
        for number in 0..relays {
            object.renew(number, 0, UnixMs(0));
        }
        object.store.statements.set(0);
        object
    }

    /// What the object does for a renewal; returns whether the registration had to be stored, and the answer.
    fn renew(&mut self, number: usize, cursor: u64, now: UnixMs) -> (bool, Renewed) {
        let relay = id(&format!("r{number}"));
        let is_new = self.directory.register(&relay, registration(1, 9), now).unwrap();
        let mut renewed = match self.mail.idle_answer(&relay, cursor, 9) {
            Some(renewed) => renewed,
            None => {
                let renewed = renew(&self.store, &relay, cursor, 9).unwrap();
                self.mail.note_answer(&relay, &renewed);
                renewed
            }
        };
        self.directory.thin_out(&mut renewed);
        (is_new, renewed)
    }
}

#[test]
fn a_thousand_renewals_with_nothing_new_touch_no_row() {
    let mut object = Object::with(1_000);
    for number in 0..1_000 {
        let (is_new, renewed) = object.renew(number, 7, UnixMs(2_000));
        assert!(!is_new);
        assert_eq!((renewed.cursor, renewed.notices.len()), (7, 0));
    }
    assert_eq!(object.store.statements.get(), 0);
}

#[test]
fn without_its_rows_the_object_reads_for_everybody() {
    let mut object = Object::with(1);
    object.mail = Mail::default();
    object.mail.note(&id("r0"));
    for _ in 0..2 {
        object.renew(0, 0, UnixMs(1));
    }
    assert_eq!(object.store.statements.get(), 6);
}

#[test]
fn a_relay_with_notices_is_read_for_until_it_has_them() {
    let mut object = Object::with(3);
    let notices = notices("r1", 2);
    post(&object.store, &notices, UnixMs(1)).unwrap();
    object.mail.note(&id("r1"));
    object.store.statements.set(0);
    assert_eq!(object.renew(1, 0, UnixMs(2)).1.notices.len(), 2);
    assert_eq!(
        object.renew(1, 0, UnixMs(3)).1.notices.len(),
        2,
        "the answer was lost"
    );
    assert_eq!(object.renew(1, 2, UnixMs(4)).1.notices.len(), 0);
    assert_eq!(object.store.statements.get(), 9, "three for each of them");
    assert_eq!(object.renew(1, 2, UnixMs(5)).1.cursor, 2);
    assert_eq!(object.store.statements.get(), 9, "it has them");
}

#[test]
fn many_relays_renew_less_often_and_within_the_lease() {
    for (relays, expected_ms) in [
        (1, RENEW_BUSY_MS),
        (500, RENEW_BUSY_MS),
        (1_000, 2_500),
        (2_000, RELAY_LEASE_MS / 3),
    ] {
        let mut object = Object::with(relays);
        let (_, renewed) = object.renew(0, 0, UnixMs(1));
        assert_eq!(renewed.renew_after_ms, expected_ms, "{relays}");
        assert!(3 * renewed.renew_after_ms <= RELAY_LEASE_MS);
    }
    let mut object = Object::with(1_000);
    post(&object.store, &notices("r1", NOTICES_PER_ANSWER + 1), UnixMs(1)).unwrap();
    object.mail.note(&id("r1"));
    assert_eq!(object.renew(1, 0, UnixMs(2)).1.renew_after_ms, RENEW_MORE_MS);
}

#[test]
fn streams_are_spread_evenly_over_a_thousand_relays() {
    let mut object = Object::with(1_000);
    let mut counts = HashMap::new();
    for number in 0..150_u64 {
        let mut stream = [0; 20];
        stream[..8].copy_from_slice(&number.to_be_bytes());
        let placed = object
            .directory
            .place(&wanted(ShortId(stream), None), UnixMs(1))
            .unwrap();
        *counts
            .entry(placed.of_session(SessionId([1; 8])).relay)
            .or_insert(0_u32) += 1;
    }
    assert_eq!(counts.len(), 150, "none gets a second stream before all others");
}
