//! How much the anchorer keeps, for whom, and how fast it anchors.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]
mod support;

use alloy_primitives::{Address, B256};
use streamchain_chain::Machine;
use streamchain_chain::anchorer::{Segment, SegmentError, Settings};
use streamchain_chain::ethereum::{BlockId, Request, RpcError};
use streamchain_protocol::ids::Seq;
use streamchain_protocol::stream_settings::Mode;
use support::anchoring::*;
use support::fake_chain::Orphans;

const STRANGER: Address = Address::repeat_byte(0x55);
const HOUR_MS: u64 = 3_600_000;

fn stranger(number: u64) -> Address {
    Address::left_padding_from(&(number + 1).to_be_bytes())
}

/// The segments `from..to` of a stream, of one message each.
fn each_message(name: &str, from: u64, to: u64) -> Vec<Segment> {
    let template = segment(name, 0, 1);
    each_like(&template, from, to)
}

/// The same, of the stream of another segment.
fn each_like(template: &Segment, from: u64, to: u64) -> Vec<Segment> {
    let segment = |seq| Segment {
        first: Seq(seq),
        root: B256::left_padding_from(&(seq + 1).to_be_bytes()),
        ..template.clone()
    };
    (from..to).map(segment).collect()
}

fn rows_of_segments(world: &Anchoring) -> usize {
    let keys = world.rows.keys();
    keys.filter(|key| key.matches('/').count() == 2 && key.starts_with("book/"))
        .count()
}

fn anchored(world: &Anchoring, stream: streamchain_protocol::ids::StreamId) -> u64 {
    let mut next = 0;
    for (first, count) in world.anchors(stream) {
        assert_eq!(first, next, "anchored without gaps or overlaps");
        next += u64::from(count);
    }
    next
}

mod pace {
    use super::*;

    /// Blocks of 12 s; a segment each second; transactions an hour apart.
    fn hours(world: &mut Anchoring, hours: u64) -> (u64, u64) {
        let template = segment("demo", 0, 1);
        let mut worst = 0;
        let mut handed = 0;
        for _ in 0..hours * 300 {
            world.hand_over(&each_like(&template, handed, handed + 12));
            handed += 12;
            world.block();
            worst = worst.max(handed - world.chain.next_seq(template.stream));
        }
        (handed, worst)
    }

    #[test]
    fn an_always_active_stream_is_anchored_as_fast_as_it_grows() {
        let mut world = Anchoring::with(Settings {
            interval_ms: HOUR_MS,
            ..settings()
        });
        let (handed, worst) = hours(&mut world, 48);
        anchored(&world, stream("demo"));
        assert_eq!(handed, 48 * 3_600);
        assert!(worst <= 3_600 + 60, "{worst} segments waited at once");
        let transactions = world.chain.mined().len();
        assert!((48..=50).contains(&transactions), "{transactions} transactions");
        assert!(rows_of_segments(&world) <= 3_660, "the book holds what waits");
    }

    #[test]
    fn a_backlog_is_worked_off_without_waiting_for_the_hour() {
        let mut world = Anchoring::with(Settings {
            interval_ms: HOUR_MS,
            ..settings()
        });
        world.hand_over(&each_message("demo", 0, 12_000));
        world.round();
        world.blocks(6);
        assert_eq!(anchored(&world, stream("demo")), 12_000);
        assert_eq!(world.chain.mined().len(), 3, "of 4,096 segments at most");
    }

    #[test]
    fn a_receipt_is_asked_for_at_the_pace_of_blocks() {
        let mut world = Anchoring::with(Settings {
            interval_ms: HOUR_MS,
            ..settings()
        });
        world.hand_over(&each_message("demo", 0, 10));
        world.round();
        world.chain.mine();
        world.pass_time(5_000);
        let status = world.anchorer.status(world.now);
        assert_eq!((status.in_flight, status.pending_segments), (None, 0));
    }

    #[test]
    fn a_failed_call_does_not_cost_an_interval() {
        let mut world = Anchoring::with(Settings {
            interval_ms: HOUR_MS,
            ..settings()
        });
        world.lie = Some(Box::new(|_, _| Err(RpcError::Transport("away".into()))));
        world.hand_over(&each_message("demo", 0, 10));
        world.round();
        world.lie = None;
        world.pass_time(10_000);
        world.blocks(1);
        assert_eq!(anchored(&world, stream("demo")), 10);
    }
}

mod waiting_for_owners {
    use super::*;

    fn theirs(name: &str, first: u64) -> Segment {
        segment_of(STRANGER, name, first, 1)
    }

    #[test]
    fn a_stream_that_is_not_open_keeps_one_row() {
        let mut world = Anchoring::new();
        let id = theirs("theirs", 0).stream;
        for seq in 0..500 {
            world.hand_over(&[theirs("theirs", seq)]);
            if seq % 50 == 0 {
                world.block();
            }
        }
        assert_eq!(world.rows.len(), 1, "{:?}", world.rows);
        let status = world.anchorer.status(world.now);
        assert_eq!((status.held_segments, status.streams_in_database), (0, 1));
        world.crash();
        world.chain.set_stream(id, signer().address(), 0);
        world.blocks(3);
        assert_eq!(anchored(&world, id), 500, "all that was handed over before");
        for _ in 0..20 {
            world.block();
            world.notify_final();
        }
        assert!(world.rows.is_empty(), "{:?}", world.rows);
    }

    #[test]
    fn what_is_emitted_survives_the_wait() {
        let mut world = Anchoring::new();
        let (plain, records) = emitted("demo", 0, 3, Mode::Payload, 4);
        world.chain.set_stream(plain.stream, STRANGER, 0);
        world.hand_over_emitted(&[(plain.clone(), records)]);
        world.round();
        assert_eq!(rows_of_segments(&world), 0);
        world.chain.set_stream(plain.stream, signer().address(), 0);
        world.blocks(3);
        assert_eq!(world.emissions(plain.stream).len(), 3);
    }

    #[test]
    fn thousands_that_never_open_leave_the_others_their_pace() {
        let mut world = Anchoring::new();
        let streams = 26_000;
        for number in 0..streams {
            let waiting = segment_of(stranger(number), "theirs", 0, 1);
            world.try_hand_over(&[waiting]).unwrap_or_default();
            if number % 3_000 == 0 {
                world.block();
            }
        }
        let opened = segment_of(STRANGER, "opened", 0, 7);
        world.chain.set_stream(opened.stream, signer().address(), 0);
        world.hand_over(&[segment("demo", 0, 10), opened.clone()]);
        world.blocks(2);
        assert_eq!(anchored(&world, stream("demo")), 10);
        world.blocks(60);
        assert_eq!(anchored(&world, opened.stream), 7, "its turn comes");
        assert!(world.rows.len() <= 25_100, "{} rows", world.rows.len());
    }

    #[test]
    fn they_are_asked_about_less_and_less_often() {
        let mut world = Anchoring::new();
        world.hand_over(&[theirs("theirs", 0)]);
        world.blocks(600);
        assert!(world.commands < 40, "{} commands in two hours", world.commands);
    }
}

mod shares {
    use super::*;

    #[test]
    fn a_strangers_full_share_refuses_nobody() {
        let mut world = Anchoring::new();
        let of = |first| segment_of(STRANGER, "theirs", first, 1);
        world.chain.set_stream(of(0).stream, signer().address(), 0);
        let many: Vec<_> = (0..9_000).map(of).collect();
        world.hand_over(&many);
        let status = world.anchorer.status(world.now);
        assert_eq!((status.held_segments, status.streams_in_database), (5_000, 1));
        world.hand_over(&[segment("demo", 0, 10)]);
        world.round();
        world.blocks(6);
        assert_eq!(anchored(&world, stream("demo")), 10);
        assert_eq!(anchored(&world, of(0).stream), 9_000, "nothing is lost");
        assert!(world.segments_read > 0, "what was not kept was read");
    }

    #[test]
    fn a_share_full_of_streams_refuses_only_its_owner() {
        let mut world = Anchoring::new();
        let theirs = |number: u64| segment_of(STRANGER, &format!("s{number}"), 0, 1);
        for number in 0..1_000 {
            world.hand_over(&[theirs(number)]);
        }
        let refused = world.try_hand_over(&[theirs(1_000)]);
        assert_eq!(refused, Err(SegmentError::Full { owner: STRANGER }));
        world.hand_over(&[segment_of(stranger(1), "s", 0, 1), segment("demo", 0, 1)]);
        // Once they are known to wait for their owner, the oldest makes room.
        world.blocks(3);
        assert!(world.try_hand_over(&[theirs(1_000)]).is_ok());
    }

    #[test]
    fn one_strangers_streams_do_not_fill_the_transactions() {
        let mut world = Anchoring::new();
        for number in 0..600 {
            let theirs = segment_of(STRANGER, &format!("s{number}"), 0, 1);
            world.chain.set_stream(theirs.stream, signer().address(), 0);
            world.hand_over(&[theirs]);
        }
        let other = segment_of(stranger(7), "theirs", 0, 1);
        world.chain.set_stream(other.stream, signer().address(), 0);
        world.hand_over(std::slice::from_ref(&other));
        for number in 0..120 {
            world.hand_over(&[segment(&format!("own{number}"), 0, 1)]);
        }
        world.round();
        world.block();
        let own = (0..120).filter(|number| anchored(&world, stream(&format!("own{number}"))) > 0);
        assert_eq!(own.count(), 50, "half of the first transaction");
        assert_eq!(anchored(&world, other.stream), 1, "and the other stranger's");
    }
}

mod finality {
    use super::*;

    fn without_finality(world: &mut Anchoring) {
        world.chain.finalized_depth = u64::MAX;
        world.lie = Some(Box::new(|request, outcome| match request {
            Request::Call {
                at: BlockId::Finalized,
                ..
            } => Err(RpcError::Node {
                code: -32000,
                message: "finalized block not found".into(),
                revert: None,
            }),
            _ => outcome,
        }));
    }

    #[test]
    fn a_chain_without_finality_keeps_one_row_a_stream() {
        let mut world = Anchoring::new();
        without_finality(&mut world);
        for seq in 0..400 {
            world.hand_over(&each_message("demo", seq, seq + 1));
            world.block();
        }
        world.blocks(2);
        assert_eq!(anchored(&world, stream("demo")), 400);
        assert_eq!(world.rows.len(), 1, "{:?}", world.rows.keys());
        assert!(world.rows.values().all(|row| row.len() < 600), "{:?}", world.rows);
        assert_eq!(world.anchorer.status(world.now).held_segments, 400);
        let before = world.commands;
        world.blocks(600);
        let asked = world.commands - before;
        assert!(asked < 60, "{asked} questions in two idle hours");
    }

    #[test]
    fn what_a_reorganisation_takes_back_is_read_again() {
        let mut world = Anchoring::new();
        world.hand_over(&each_message("demo", 0, 50));
        world.round();
        world.blocks(2);
        assert_eq!(
            (anchored(&world, stream("demo")), rows_of_segments(&world)),
            (50, 0)
        );
        world.crash();
        world.chain.reorg(2, Orphans::Dropped);
        world.notify_reverted();
        world.blocks(3);
        assert_eq!(anchored(&world, stream("demo")), 50);
        assert!(world.segments_read > 0);
    }

    #[test]
    fn a_depth_of_blocks_can_count_as_final() {
        let mut world = Anchoring::with(Settings {
            finality_depth: Some(5),
            ..settings()
        });
        without_finality(&mut world);
        world.hand_over(&each_message("demo", 0, 50));
        world.round();
        world.blocks(4);
        assert_eq!(world.rows.len(), 1);
        world.blocks(15);
        assert!(world.rows.is_empty(), "{:?}", world.rows);
        assert_eq!(
            world.anchorer.poll_timeout(world.now),
            None,
            "nothing is left to do"
        );
    }

    #[test]
    fn a_finalized_state_that_fails_keeps_nothing_waiting() {
        let mut world = Anchoring::new();
        without_finality(&mut world);
        world.hand_over(&each_message("demo", 0, 1));
        world.round();
        world.blocks(8);
        world.hand_over(&each_message("demo", 1, 2));
        world.pass_time(5_000);
        world.blocks(1);
        assert_eq!(anchored(&world, stream("demo")), 2);
        assert_eq!(world.error(), "");
    }

    #[test]
    fn a_database_that_is_away_keeps_only_its_streams_waiting() {
        let mut world = Anchoring::new();
        let theirs = segment_of(STRANGER, "theirs", 0, 1);
        world.hand_over(std::slice::from_ref(&theirs));
        world.round();
        world.chain.set_stream(theirs.stream, signer().address(), 0);
        world.hand_over(&[segment("demo", 0, 10)]);
        world.pass_time(11_000);
        world.stored_is_away = true;
        world.blocks(3);
        assert_eq!(anchored(&world, stream("demo")), 10);
        assert_eq!(anchored(&world, theirs.stream), 0);
        world.stored_is_away = false;
        world.blocks(2);
        assert_eq!(anchored(&world, theirs.stream), 1);
    }
}
