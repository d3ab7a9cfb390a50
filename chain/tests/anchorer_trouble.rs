//! The anchorer when chain, node or account make trouble.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use streamchain_chain::abi::multicallCall;
use streamchain_chain::anchorer::{MAX_RUNS, Run, SegmentError, Settings};
use streamchain_chain::ethereum::{Answer, Receipt, Request, RpcError};
use streamchain_protocol::ids::{Seq, StreamId};
use support::Fault;
use support::anchoring::*;
use support::fake_chain::{GWEI, Orphans};

const STRANGER: Address = Address::repeat_byte(0x55);

const NO_STREAM: StreamId = StreamId([0; 32]);

fn one_segment() -> Anchoring {
    let mut world = Anchoring::new();
    world.hand_over(&[segment("demo", 0, 10)]);
    world
}

mod transaction {
    use super::*;

    #[test]
    fn one_that_pays_too_little_is_replaced_at_an_eighth_more() {
        let mut world = one_segment();
        world.round();
        world.chain.base_fee = 4 * GWEI; // twice what the offer allows
        world.blocks(10);
        assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
        assert!(world.chain.received.len() >= 2, "it was replaced");
        assert_eq!(world.chain.mined().len(), 1, "one attempt only is mined");
    }

    #[test]
    fn what_the_pool_dropped_is_sent_again_with_the_same_bytes() {
        let mut world = one_segment();
        world.round();
        world.chain.pool.clear();
        world.blocks(5);
        assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
        assert_eq!(world.chain.received[0], world.chain.received[1]);
    }

    #[test]
    fn a_nonce_taken_by_another_user_of_the_key_is_noticed() {
        let mut world = one_segment();
        world.round();
        world.chain.pool.clear();
        let noop = multicallCall { data: Vec::new() }.abi_encode();
        world.chain.stranger(signer().address(), noop);
        world.blocks(6);
        assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
        assert_eq!(world.anchorer.status(world.now).in_flight, None);
    }

    #[test]
    fn a_nonce_gap_after_a_fork_is_closed() {
        let mut world = one_segment();
        world.round();
        world.chain.mine();
        world.pass_time(3_000);
        world.hand_over(&[segment("demo", 10, 5)]);
        world.pass_time(3_000);
        assert!(world.anchorer.status(world.now).in_flight.is_some());
        world.chain.reorg(1, Orphans::Dropped); // the first transaction is gone, the second waits for ever
        world.blocks(3);
        assert_eq!(
            world
                .anchors(stream("demo"))
                .iter()
                .map(|(_, count)| count)
                .sum::<u32>(),
            15
        );
    }

    #[test]
    fn another_transaction_in_the_pool_is_outbid_at_once() {
        let mut world = one_segment();
        let noop = multicallCall { data: Vec::new() }.abi_encode();
        world.chain.stranger(signer().address(), noop);
        world.chain.pool[0].max_fee = 5 * GWEI;
        world.chain.pool[0].tip = 3 * GWEI;
        world.round();
        world.blocks(1);
        assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
    }
}

mod money {
    use super::*;

    #[test]
    fn an_empty_account_is_reported_and_goes_on_when_funded() {
        let mut world = one_segment();
        world.chain.balance = U256::from(7);
        world.round();
        world.blocks(3);
        assert!(world.error().contains("insufficient funds"), "{}", world.error());
        assert!(
            world.chain.received.is_empty(),
            "nothing is signed that cannot be paid"
        );
        world.chain.balance = U256::from(10).pow(U256::from(18));
        world.blocks(2);
        assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
        assert_eq!(world.error(), "");
    }

    #[test]
    fn an_account_emptied_before_sending_keeps_its_transaction() {
        let mut world = one_segment();
        world.chain.refuses = Some("insufficient funds for gas * price + value");
        world.blocks(8);
        assert!(world.error().contains("insufficient funds"), "{}", world.error());
        let kept = world
            .anchorer
            .status(world.now)
            .in_flight
            .expect("the transaction is kept");
        assert_eq!(kept.attempts, 1, "a higher fee would not help");
        world.chain.refuses = None;
        world.blocks(3);
        assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
    }

    #[test]
    fn above_the_fee_cap_it_waits_and_says_so() {
        let mut world = one_segment();
        world.chain.base_fee = 200 * GWEI;
        world.blocks(3);
        assert!(
            world.error().contains("above the configured cap"),
            "{}",
            world.error()
        );
        world.chain.base_fee = GWEI;
        world.blocks(5);
        assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
    }

    #[test]
    fn a_replacement_never_exceeds_the_cap() {
        let mut world = one_segment();
        world.round();
        world.chain.base_fee = 1_000 * GWEI;
        world.blocks(100);
        let cap = settings().fees.cap;
        assert!(world.chain.pool.iter().all(|tx| tx.max_fee <= cap));
        assert!(world.error().contains("above the cap"), "{}", world.error());
        world.chain.base_fee = GWEI;
        world.blocks(2);
        assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
    }
}

mod stream {
    use super::*;

    #[test]
    fn a_stream_that_another_account_anchors_is_left_alone() {
        let mut world = one_segment();
        world.hand_over(&[segment("other", 0, 3)]);
        world.chain.set_stream(stream("demo"), STRANGER, 0);
        world.blocks(2);
        assert_eq!(world.anchors(stream("other")), [(0, 3)]);
        let blocked = world.anchorer.status(world.now).blocked_streams;
        assert!(blocked[0].reason.contains("nobody else"), "{blocked:?}");
        world.chain.set_stream(stream("demo"), signer().address(), 0);
        world.blocks(7);
        assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
        assert!(world.anchorer.status(world.now).blocked_streams.is_empty());
    }

    #[test]
    fn a_foreign_stream_waits_until_its_owner_has_opened_it() {
        let mut world = Anchoring::new();
        let foreign = segment_of(STRANGER, "theirs", 0, 4);
        world.hand_over(std::slice::from_ref(&foreign));
        world.blocks(2);
        assert!(
            world.anchorer.status(world.now).blocked_streams[0]
                .reason
                .contains("has not opened it")
        );
        world.chain.set_stream(foreign.stream, signer().address(), 0);
        world.blocks(7);
        assert_eq!(world.anchors(foreign.stream), [(0, 4)]);
    }

    #[test]
    fn how_soon_changes_by_others_are_seen_is_a_setting() {
        let seen_after = |retry_after_ms: u64| {
            let mut world = Anchoring::with(Settings {
                retry_after_ms,
                interval_ms: 100,
                ..settings()
            });
            let foreign = segment_of(STRANGER, "theirs", 0, 4);
            world.hand_over(std::slice::from_ref(&foreign));
            world.round();
            world.chain.set_stream(foreign.stream, signer().address(), 0);
            let start = world.now;
            while world.chain.received.is_empty() {
                world.next_round_with(&mut |_| Fault::None);
            }
            world.now.since(start)
        };
        for retry_after_ms in [1_000, 30_000] {
            let after = seen_after(retry_after_ms);
            assert!(
                (retry_after_ms - 500..retry_after_ms + 500).contains(&after),
                "{after} ms"
            );
        }
    }

    #[test]
    fn what_is_on_the_chain_already_is_not_sent_again() {
        let mut world = one_segment();
        world.hand_over(&[segment("demo", 10, 5), segment("demo", 15, 5)]);
        world.chain.set_stream(stream("demo"), signer().address(), 15);
        world.blocks(2);
        assert_eq!(world.anchors(stream("demo")), [(15, 5)]);
    }

    #[test]
    fn an_anchor_that_cuts_a_segment_in_two_stops_its_stream() {
        let mut world = one_segment();
        world.chain.set_stream(stream("demo"), signer().address(), 4);
        world.blocks(2);
        let reason = &world.anchorer.status(world.now).blocked_streams[0].reason;
        assert!(
            reason.contains("up to message 4, inside the segment that begins at 0"),
            "{reason}"
        );
        assert!(world.chain.received.is_empty());
    }

    #[test]
    fn a_missing_segment_is_waited_for() {
        let mut world = Anchoring::new();
        world.hand_over(&[segment("demo", 10, 5)]);
        world.blocks(2);
        assert!(world.anchors(stream("demo")).is_empty());
        world.hand_over(&[segment("demo", 0, 10)]);
        world.blocks(2);
        assert_eq!(world.anchors(stream("demo")), [(0, 15)]);
    }

    #[test]
    fn another_root_on_the_chain_is_reported() {
        let mut world = one_segment();
        let run = Run {
            stream: stream("demo"),
            first: Seq(0),
            count: 10,
            root: B256::repeat_byte(9),
        };
        world.anchorer.handle_anchored(&run, world.now);
        assert!(
            world.anchorer.status(world.now).blocked_streams[0]
                .reason
                .contains("another root than ours")
        );
    }
}

mod batch {
    use super::*;

    #[test]
    fn more_streams_than_fit_take_turns() {
        let mut world = Anchoring::new();
        let count = MAX_RUNS * 2 + 50;
        let segments: Vec<_> = (0..count)
            .map(|number| segment(&format!("s{number}"), 0, 1))
            .collect();
        world.hand_over(&segments);
        world.round();
        world.blocks(3);
        assert_eq!(world.chain.mined().len(), 3);
        assert_eq!(world.anchorer.status(world.now).pending_segments, 0);
    }

    #[test]
    fn a_batch_that_needs_too_much_gas_is_halved_until_it_fits() {
        let mut world = Anchoring::new();
        let segments: Vec<_> = (0..8)
            .map(|number| segment(&format!("s{number}"), 0, 1))
            .collect();
        world.hand_over(&segments);
        world.lie = Some(Box::new(|request, outcome| match request {
            Request::EstimateGas { data, .. } => Ok(Answer::Gas(data.len() as u64 * 7_000)),
            _ => outcome,
        }));
        world.round();
        world.blocks(8);
        assert_eq!(world.anchorer.status(world.now).pending_segments, 0);
        assert!(world.chain.mined().len() > 1);
    }

    #[test]
    fn one_stream_that_the_node_refuses_does_not_keep_the_others() {
        let mut world = Anchoring::new();
        let segments: Vec<_> = (0..5)
            .map(|number| segment(&format!("s{number}"), 0, 1))
            .collect();
        world.hand_over(&segments);
        let poison = segments[2].stream;
        world.lie = Some(Box::new(move |request, outcome| match request {
            Request::EstimateGas { data, .. } if data.windows(32).any(|word| word == poison.0.as_slice()) => {
                Err(RpcError::Node {
                    code: 3,
                    message: "execution reverted".into(),
                    revert: None,
                })
            }
            _ => outcome,
        }));
        world.round();
        world.blocks(10);
        let status = world.anchorer.status(world.now);
        assert_eq!(status.pending_segments, 1);
        assert_eq!(status.blocked_streams[0].stream, poison);
    }
}

mod node {
    use super::*;

    #[test]
    fn a_receipt_of_another_transaction_is_rejected() {
        let mut world = one_segment();
        world.round();
        world.lie = Some(Box::new(|request, outcome| match request {
            Request::Receipt(_) => Ok(Answer::Receipt(Some(Receipt {
                transaction_hash: B256::repeat_byte(1),
                block_number: 1,
                block_hash: B256::ZERO,
                status: 1,
                gas_used: 1,
                logs: Vec::new(),
            }))),
            _ => outcome,
        }));
        world.pass_time(5_000);
        assert!(world.anchorer.status(world.now).in_flight.is_some());
        assert!(world.distrusted[0].contains("receipt of another transaction"));
        world.lie = None;
        world.blocks(3);
        assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
    }

    #[test]
    fn a_node_that_names_another_hash_is_rejected() {
        let mut world = one_segment();
        world.lie = Some(Box::new(|request, outcome| match request {
            Request::Send(_) => Ok(Answer::Sent(B256::repeat_byte(1))),
            _ => outcome,
        }));
        world.round();
        assert!(world.distrusted[0].contains("another hash"));
        world.lie = None;
        world.blocks(3);
        assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
        assert_eq!(world.chain.mined().len(), 1);
    }

    #[test]
    fn a_transaction_that_the_node_refuses_is_made_again() {
        let mut world = one_segment();
        world.chain.refuses = Some("exceeds block gas limit");
        world.blocks(6);
        assert!(
            world.error().contains("exceeds block gas limit"),
            "{}",
            world.error()
        );
        world.chain.refuses = None;
        world.blocks(4);
        assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
    }

    #[test]
    fn an_address_without_a_contract_is_reported() {
        let mut world = one_segment();
        world.lie = Some(Box::new(|request, outcome| match request {
            Request::Call { .. } => Ok(Answer::Returned(Vec::new().into())),
            _ => outcome,
        }));
        world.round();
        assert!(
            world.error().contains("there is no contract at"),
            "{}",
            world.error()
        );
    }
}

mod segment {
    use super::*;

    #[test]
    fn a_malformed_segment_rejects_its_whole_batch() {
        let mut world = one_segment();
        let good = segment("demo", 10, 5);
        let wrong_id = streamchain_chain::anchorer::Segment {
            stream: NO_STREAM,
            ..segment("x", 0, 1)
        };
        let empty = segment("x", 0, 0);
        let different = streamchain_chain::anchorer::Segment {
            root: B256::ZERO,
            ..segment("demo", 0, 10)
        };
        let stream = stream("demo");
        let refusals = [
            (wrong_id, SegmentError::WrongId { stream: NO_STREAM }),
            (
                empty.clone(),
                SegmentError::BadRange {
                    stream: empty.stream,
                    first: Seq(0),
                },
            ),
            (
                different,
                SegmentError::Different {
                    stream,
                    first: Seq(0),
                },
            ),
        ];
        for (bad, error) in refusals {
            assert_eq!(world.anchorer.handle_segments(&[good.clone(), bad]), Err(error));
        }
        assert_eq!(world.anchorer.status(world.now).held_segments, 1);
        assert_eq!(
            world.anchorer.handle_segments(&[segment("demo", 0, 10)]),
            Ok(0),
            "the same again is fine"
        );
    }

    #[test]
    fn a_final_segment_that_comes_again_is_dropped() {
        let mut world = one_segment();
        world.round();
        world.blocks(1);
        world.chain.mine_many(20);
        world.notify_final();
        assert_eq!(world.anchorer.status(world.now).held_segments, 0);
        world.hand_over(&[segment("demo", 0, 10)]); // the stream's outbox repeats itself after a crash
        world.pass_time(200_000);
        assert_eq!(world.anchorer.status(world.now).held_segments, 0);
        assert_eq!(world.anchors(stream("demo")), [(0, 10)]);
    }
}
