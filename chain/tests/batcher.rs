//! What a batcher does, call by call.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on"
)]

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, keccak256};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::limits::MAX_RUNS_PER_LIST;
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::proof::run::RunEntry;
use streamchain_protocol::time::UnixMs;

use streamchain_chain::batcher::*;
use streamchain_chain::journal::Row;
use streamchain_chain::rounds::{GroupRoots, RoundAnchor};
use streamchain_chain::{Command, Machine};

const NOW: UnixMs = UnixMs(1_700_000_000_000);
const OPERATOR: Address = Address::repeat_byte(0xee);

fn settings() -> Settings {
    Settings {
        buckets_each: 256,
        operators: BTreeSet::from([OPERATOR]),
        announce_after_ms: 60_000,
    }
}

fn batcher() -> Batcher {
    Batcher::restore(settings(), []).unwrap()
}

fn id(number: u32) -> StreamId {
    StreamId(keccak256(number.to_be_bytes()).0)
}

fn offer_of(number: u32, owner: Address, first: u64, count: u32) -> OfferRun {
    OfferRun {
        stream: id(number),
        owner,
        first: Seq(first),
        count,
        root: keccak256([number.to_be_bytes(), count.to_be_bytes()].concat()),
        watched: true,
    }
}

fn offer(number: u32, first: u64, count: u32) -> OfferRun {
    offer_of(number, Address::repeat_byte(1), first, count)
}

/// Offers a run of a stream of which the database has nothing.
fn take(batcher: &mut Batcher, offer: &OfferRun) -> RunOffered {
    let mut offered = batcher.handle_offer(offer).unwrap();
    if offered == Offered::Unknown {
        batcher.handle_known(offer.stream, offer.owner, None);
        offered = batcher.handle_offer(offer).unwrap();
    }
    match offered {
        Offered::Answer(answer) => answer,
        Offered::Unknown => panic!("the stream is known by now"),
    }
}

fn taken(begin: u64) -> RunOffered {
    RunOffered {
        begin: Seq(begin),
        refused: None,
    }
}

/// Closes a round, and returns its runs.
fn close(batcher: &mut Batcher, round: u64) -> Vec<RunEntry> {
    let closed = batcher.handle_close(round, None, NOW).unwrap();
    match batcher.handle_fixed(&roots(round, closed.roots)).unwrap() {
        Fixing::Write(list) => list.runs,
        Fixing::Done => Vec::new(),
    }
}

fn roots(round: u64, roots: Vec<(u8, streamchain_protocol::proof::bucket::BucketRoot)>) -> GroupRoots {
    GroupRoots {
        round,
        first_bucket: 0,
        roots,
    }
}

mod offers {
    use super::*;

    #[test]
    fn the_newest_offer_takes_the_place_of_the_one_before() {
        let mut batcher = batcher();
        assert_eq!(take(&mut batcher, &offer(1, 0, 3)), taken(0));
        assert_eq!(take(&mut batcher, &offer(1, 0, 8)), taken(0));
        assert_eq!(close(&mut batcher, 0)[0].count, 8);
    }

    #[test]
    fn an_older_offer_that_comes_late_changes_nothing() {
        let mut batcher = batcher();
        take(&mut batcher, &offer(1, 0, 8));
        batcher.take_unsaved();
        assert_eq!(take(&mut batcher, &offer(1, 0, 3)), taken(0));
        assert_eq!(
            take(&mut batcher, &offer(1, 0, 8)),
            taken(0),
            "and so does the same one"
        );
        assert_eq!(batcher.take_unsaved(), []);
        assert_eq!(close(&mut batcher, 0)[0].count, 8);
    }

    #[test]
    fn an_offer_that_begins_elsewhere_is_answered_where_to_begin() {
        let mut batcher = batcher();
        take(&mut batcher, &offer(1, 0, 8));
        close(&mut batcher, 0);
        for first in [0, 3, 9] {
            assert_eq!(take(&mut batcher, &offer(1, first, 20)), taken(8));
        }
        assert_eq!(batcher.pending(), 0);
        assert_eq!(take(&mut batcher, &offer(1, 8, 2)), taken(8));
        assert_eq!(batcher.pending(), 1);
    }

    #[test]
    fn an_offer_costs_one_row() {
        let mut batcher = batcher();
        take(&mut batcher, &offer(1, 0, 3));
        batcher.take_unsaved();
        take(&mut batcher, &offer(2, 0, 3));
        assert_eq!(batcher.take_unsaved().len(), 1);
        take(&mut batcher, &offer(2, 0, 4));
        assert_eq!(batcher.take_unsaved().len(), 1);
    }

    #[test]
    fn a_run_without_messages_or_past_the_last_seq_is_refused() {
        let mut batcher = batcher();
        for bad in [offer(1, 0, 0), offer(1, u64::MAX, 1)] {
            let refused = batcher.handle_offer(&bad);
            assert!(matches!(refused, Err(OfferError::BadRange { .. })), "{refused:?}");
        }
    }

    #[test]
    fn a_stream_of_another_batcher_is_refused() {
        let settings = Settings {
            buckets_each: 16,
            ..settings()
        };
        let mut batcher = Batcher::restore(settings, []).unwrap();
        let of_bucket = |bucket: u8| {
            let mut offer = offer(1, 0, 1);
            offer.stream.0[0] = bucket;
            offer
        };
        assert!(batcher.handle_offer(&of_bucket(0x2f)).is_ok());
        assert!(batcher.handle_offer(&of_bucket(0x20)).is_ok());
        let refused = batcher.handle_offer(&of_bucket(0x30)).unwrap_err();
        assert!(refused.to_string().contains("BATCHERS was changed"), "{refused}");
    }

    #[test]
    fn what_the_database_knows_decides_where_a_run_begins() {
        let mut batcher = batcher();
        let newest = RunEntry {
            stream: id(1),
            first: Seq(4),
            count: 6,
            root: B256::repeat_byte(1),
            previous: B256::repeat_byte(2),
        };
        assert_eq!(batcher.handle_offer(&offer(1, 0, 20)), Ok(Offered::Unknown));
        batcher.handle_known(id(1), Address::ZERO, Some(&newest));
        assert_eq!(
            batcher.handle_offer(&offer(1, 0, 20)),
            Ok(Offered::Answer(taken(10)))
        );
        take(&mut batcher, &offer(1, 10, 10));
        assert_eq!(close(&mut batcher, 3)[0].previous, newest.leaf());
    }

    #[test]
    fn what_was_read_before_it_was_asked_for_counts_for_nothing() {
        let mut batcher = batcher();
        batcher.handle_known(id(1), Address::ZERO, None);
        assert_eq!(batcher.handle_offer(&offer(1, 0, 20)), Ok(Offered::Unknown));
    }
}

mod closing {
    use super::*;

    #[test]
    fn a_round_that_is_asked_for_again_is_the_same() {
        let mut batcher = batcher();
        take(&mut batcher, &offer(1, 0, 8));
        let closed = batcher.handle_close(0, None, NOW).unwrap();
        take(&mut batcher, &offer(1, 8, 2));
        take(&mut batcher, &offer(2, 0, 2));
        let again = batcher.handle_close(0, None, NOW).unwrap();
        assert_eq!(again.roots, closed.roots);
        assert!(again.more && !closed.more);
    }

    #[test]
    fn what_is_left_out_is_in_the_next_round_as_it_is() {
        let mut batcher = batcher();
        take(&mut batcher, &offer(1, 0, 8));
        let frozen = close(&mut batcher, 0);
        take(&mut batcher, &offer(1, 8, 2));
        take(&mut batcher, &offer(2, 0, 2));
        let closed = batcher.handle_close(1, Some(&roots(0, Vec::new())), NOW).unwrap();
        let Fixing::Write(list) = batcher.handle_fixed(&roots(1, closed.roots)).unwrap() else {
            panic!("the round has runs");
        };
        assert_eq!(list.runs.len(), 2, "one of each stream");
        assert!(list.runs.contains(&frozen[0]));
        batcher.handle_written(1);
        let next = close(&mut batcher, 2);
        assert_eq!((next.len(), next[0].previous), (1, frozen[0].leaf()));
    }

    #[test]
    fn a_written_round_that_was_fixed_without_it_is_undone() {
        let mut batcher = batcher();
        take(&mut batcher, &offer(1, 0, 8));
        let frozen = close(&mut batcher, 0);
        batcher.handle_written(0);
        // The maker lost that it had fixed the round with this batcher, and fixed it again without.
        let closed = batcher.handle_close(1, Some(&roots(0, Vec::new())), NOW).unwrap();
        assert_eq!(closed.roots.len(), 1);
        let Fixing::Write(list) = batcher.handle_fixed(&roots(1, closed.roots)).unwrap() else {
            panic!("the round has runs");
        };
        assert_eq!(list.runs, frozen);
    }

    #[test]
    fn late_messages_about_older_rounds_change_nothing() {
        let mut batcher = batcher();
        take(&mut batcher, &offer(1, 0, 8));
        let closed = batcher.handle_close(0, None, NOW).unwrap();
        let fixed = roots(0, closed.roots);
        batcher.handle_fixed(&fixed).unwrap();
        batcher.handle_written(0);
        take(&mut batcher, &offer(1, 8, 2));
        batcher.handle_close(1, Some(&fixed), NOW).unwrap();
        take(&mut batcher, &offer(2, 0, 2));
        batcher.handle_close(2, Some(&roots(1, Vec::new())), NOW).unwrap();
        batcher.take_unsaved();
        assert_eq!(batcher.handle_close(0, None, NOW).unwrap().roots, []);
        assert_eq!(batcher.handle_fixed(&fixed), Ok(Fixing::Done));
        batcher.handle_written(0);
        assert_eq!(batcher.take_unsaved(), []);
    }

    #[test]
    fn a_round_with_other_runs_than_were_frozen_is_refused() {
        let mut batcher = batcher();
        take(&mut batcher, &offer(1, 0, 8));
        let mut closed = batcher.handle_close(0, None, NOW).unwrap();
        closed.roots[0].1.root.0[0] ^= 1;
        let fixed = roots(0, closed.roots);
        assert_eq!(batcher.handle_fixed(&fixed), Err(CloseError::Different(0)));
        assert_eq!(
            batcher.handle_close(1, Some(&fixed), NOW),
            Err(CloseError::NotWritten(0)),
            "it never wrote such a round"
        );
        let unknown = GroupRoots { round: 5, ..fixed };
        assert!(matches!(
            batcher.handle_fixed(&unknown),
            Err(CloseError::NotClosed { .. })
        ));
    }

    #[test]
    fn saved_rows_give_the_same_machine() {
        let mut batcher = batcher();
        let mut rows: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
        let mut save = |changes: Vec<Row>| {
            for row in changes {
                match row.value {
                    Some(value) => rows.insert(row.key, value),
                    None => rows.remove(&row.key),
                };
            }
            rows.clone()
        };
        take(&mut batcher, &offer(1, 0, 8));
        let closed = batcher.handle_close(0, None, NOW).unwrap();
        let fixed = roots(0, closed.roots);
        batcher.handle_fixed(&fixed).unwrap();
        batcher.handle_written(0);
        take(&mut batcher, &offer(1, 8, 2));
        let closed = batcher.handle_close(1, Some(&fixed), NOW).unwrap();
        take(&mut batcher, &offer(2, 0, 2));
        let rows = save(batcher.take_unsaved());
        let rows = rows.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut restored = Batcher::restore(settings(), rows).unwrap();
        let again = restored.handle_close(1, Some(&fixed), NOW).unwrap();
        assert_eq!((again.roots, again.more), (closed.roots, true));
        assert_eq!(restored.pending(), 1);
        assert_eq!(take(&mut restored, &offer(1, 8, 2)), taken(10));
    }
}

mod shares {
    use super::*;

    #[test]
    fn one_owner_has_a_share_and_no_more() {
        let mut batcher = batcher();
        let (busy, other) = (Address::repeat_byte(2), Address::repeat_byte(3));
        for number in 0..MAX_PENDING_STREAMS_OF_OWNER as u32 {
            assert_eq!(take(&mut batcher, &offer_of(number, busy, 0, 1)).refused, None);
        }
        let refused = take(&mut batcher, &offer_of(1_000_000, busy, 0, 1))
            .refused
            .unwrap();
        assert!(refused.contains("at most 8192"), "{refused}");
        assert_eq!(
            take(&mut batcher, &offer_of(0, busy, 0, 2)),
            taken(0),
            "its own ones go on"
        );
        assert_eq!(take(&mut batcher, &offer_of(1_000_001, other, 0, 1)), taken(0));
        close(&mut batcher, 0);
        assert_eq!(take(&mut batcher, &offer_of(1_000_000, busy, 0, 1)).refused, None);
    }

    #[test]
    fn many_owners_leave_the_operators_their_reserve() {
        let mut batcher = batcher();
        let max_foreign = (MAX_PENDING_STREAMS - OPERATORS_RESERVE) as u32;
        for number in 0..max_foreign {
            let owner = Address::left_padding_from(&(number / 1_000 + 1).to_be_bytes());
            assert_eq!(take(&mut batcher, &offer_of(number, owner, 0, 1)).refused, None);
        }
        let stranger = Address::repeat_byte(0x77);
        assert!(
            take(&mut batcher, &offer_of(max_foreign, stranger, 0, 1))
                .refused
                .is_some()
        );
        for number in 0..OPERATORS_RESERVE as u32 {
            let offer = offer_of(2_000_000 + number, OPERATOR, 0, 1);
            assert_eq!(take(&mut batcher, &offer).refused, None);
        }
        let beyond = offer_of(3_000_000, OPERATOR, 0, 1);
        assert!(take(&mut batcher, &beyond).refused.is_some());
    }

    #[test]
    fn a_round_takes_of_every_owner_in_turn() {
        let mut batcher = batcher();
        let (busy, busier, quiet) = (
            Address::repeat_byte(2),
            Address::repeat_byte(3),
            Address::repeat_byte(9),
        );
        for number in 0..6_000 {
            take(&mut batcher, &offer_of(number, busy, 0, 1));
            take(&mut batcher, &offer_of(100_000 + number, busier, 0, 1));
        }
        take(&mut batcher, &offer_of(500_000, quiet, 0, 1));
        let closed = batcher.handle_close(0, None, NOW).unwrap();
        assert!(closed.more);
        let runs = close(&mut batcher, 0);
        assert_eq!(runs.len(), MAX_RUNS_PER_LIST);
        let frozen: BTreeSet<StreamId> = runs.iter().map(|run| run.stream).collect();
        assert!(
            frozen.contains(&id(500_000)),
            "the quiet owner does not wait for the busy ones"
        );
        let of_busy = (0..6_000).filter(|number| frozen.contains(&id(*number))).count();
        assert!((4_095..=4_096).contains(&of_busy), "{of_busy}");
        assert!(
            (0..4_000).all(|number| frozen.contains(&id(number))),
            "who waits longest is first"
        );
        batcher.handle_written(0);
        assert_eq!(close(&mut batcher, 1).len(), 12_001 - MAX_RUNS_PER_LIST);
    }

    #[test]
    fn lines_that_rest_are_dropped_when_there_are_too_many() {
        let mut batcher = batcher();
        for round in 0..14 {
            for number in 0..4_096 {
                take(&mut batcher, &offer(round * 4_096 + number, 0, 1));
            }
            close(&mut batcher, round.into());
            batcher.handle_written(round.into());
            batcher.take_unsaved();
        }
        assert_eq!(
            batcher.handle_offer(&offer(0, 1, 1)),
            Ok(Offered::Unknown),
            "the oldest is gone"
        );
        assert_eq!(take(&mut batcher, &offer(13 * 4_096, 1, 1)), taken(1));
    }
}

mod tasks {
    use super::*;

    /// The next task; rows are written meanwhile.
    fn task(batcher: &mut Batcher, now: UnixMs) -> Option<BatcherTask> {
        loop {
            match batcher.next_command(now)? {
                Command::Save(_) => {}
                Command::Do(task) => return Some(task),
                other => panic!("a batcher asks no node: {other:?}"),
            }
        }
    }

    #[test]
    fn runs_that_wait_are_announced_again_when_no_round_comes() {
        let mut batcher = batcher();
        assert_eq!(batcher.poll_timeout(NOW), None);
        take(&mut batcher, &offer(1, 0, 8));
        assert_eq!(task(&mut batcher, NOW), Some(BatcherTask::Announce(0)));
        batcher.handle_announced(Ok(()), NOW);
        take(&mut batcher, &offer(2, 0, 8));
        assert_eq!(task(&mut batcher, NOW), None);
        let later = NOW.plus_ms(60_000);
        assert_eq!(batcher.poll_timeout(NOW), Some(later));
        assert_eq!(task(&mut batcher, later), Some(BatcherTask::Announce(0)));
    }

    #[test]
    fn what_comes_while_a_round_is_closed_is_announced() {
        let mut batcher = batcher();
        take(&mut batcher, &offer(1, 0, 8));
        assert_eq!(task(&mut batcher, NOW), Some(BatcherTask::Announce(0)));
        close(&mut batcher, 0);
        batcher.handle_written(0);
        take(&mut batcher, &offer(1, 8, 1));
        batcher.handle_announced(Ok(()), NOW);
        assert_eq!(task(&mut batcher, NOW), Some(BatcherTask::Announce(0)));
    }

    #[test]
    fn streams_are_notified_in_pages_and_again_where_that_failed() {
        let mut batcher = batcher();
        let mut offers: Vec<OfferRun> = (0..700).map(|number| offer(number, 0, 1)).collect();
        offers[7].watched = false;
        for offer in &offers {
            take(&mut batcher, offer);
        }
        let runs = close(&mut batcher, 0);
        batcher.handle_written(0);
        let anchor = RoundAnchor {
            round: 0,
            tx: B256::repeat_byte(7),
            block: 70,
            state: AnchorState::Anchored,
        };
        assert!(batcher.handle_round_state(&anchor));
        let read = BatcherTask::ReadList {
            round: 0,
            first_bucket: 0,
        };
        assert_eq!(task(&mut batcher, NOW), Some(read));
        batcher.handle_list(Ok(runs), NOW);
        let (mut now, mut notified, mut failed) = (NOW, Vec::new(), Some(id(0)));
        while let Some(due) = batcher.poll_timeout(now) {
            now = now.max(due);
            let Some(task) = task(&mut batcher, now) else {
                break;
            };
            let BatcherTask::Notify(notify) = task else {
                panic!("nothing else is to be done: {task:?}");
            };
            assert!(notify.notices.len() <= 500);
            let is_failed = |notice: &&RunNotice| Some(notice.stream) == failed;
            let these: Vec<StreamId> = notify
                .notices
                .iter()
                .filter(is_failed)
                .map(|it| it.stream)
                .collect();
            if !these.is_empty() {
                failed = None;
            }
            notified.extend(notify.notices.iter().map(|notice| notice.stream));
            batcher.handle_notified(&these, now);
        }
        assert_eq!(notified.len(), 699 + 1);
        assert!(!notified.contains(&id(7)), "nobody watches it");
        assert_eq!(notified.iter().filter(|stream| **stream == id(0)).count(), 2);
    }
}
