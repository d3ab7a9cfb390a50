//! Blocks that a node cannot or will not give as a whole: they are read in parts, noted as missing, and read again.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

mod support;

use alloy_primitives::{Address, B256, keccak256};
use streamchain_chain::ethereum::{Answer, LogBlocks, Request, RpcError};
use streamchain_chain::listener::EventKind;
use streamchain_protocol::ids::{Seq, StreamId};
use support::fake_chain::{FakeChain, Orphans};
use support::listening::*;

const MAX_ANSWER: usize = 400_000;

/// The blocks before and after the one that is about to be mined have events as well.
fn in_the_middle(fill: impl Fn(&mut FakeChain), behind: u64) -> Listening {
    let mut chain = FakeChain::new(Address::repeat_byte(1));
    publish(&mut chain, 7, 10);
    chain.mine();
    fill(&mut chain);
    chain.mine();
    publish(&mut chain, 8, 10);
    chain.mine();
    chain.mine_many(behind);
    Listening::new(chain)
}

const BLOCK: u64 = 2;

fn is_about(request: &Request, chain_block: B256) -> bool {
    match request {
        Request::Logs { blocks, .. } => match blocks {
            LogBlocks::Hash(hash) => *hash == chain_block,
            LogBlocks::Range(from, to) => (*from..=*to).contains(&BLOCK),
        },
        Request::BlockTransactions(hash) => *hash == chain_block,
        Request::BlockReceipts(number) => *number == BLOCK,
        _ => false,
    }
}

/// No answer may be larger than the shell takes.
fn limited(world: &mut Listening) {
    world.lie = Some(Box::new(|_, outcome| {
        let outcome = outcome?;
        match size(&outcome) > MAX_ANSWER {
            true => Err(RpcError::TooLarge(MAX_ANSWER)),
            false => Ok(outcome),
        }
    }));
}

fn fails_at(world: &mut Listening, words: &'static str) {
    let hash = world.chain.blocks[BLOCK as usize].hash;
    let txs: Vec<B256> = world.chain.blocks[BLOCK as usize]
        .txs
        .iter()
        .map(|tx| tx.hash)
        .collect();
    world.lie = Some(Box::new(move |request, outcome| match request {
        Request::Receipt(tx) if txs.contains(tx) => Err(refused(words)),
        request if is_about(request, hash) => Err(refused(words)),
        _ => outcome,
    }));
}

mod a_block_that_is_too_large {
    use super::*;

    /// Nine events above the limit, and a small one between them.
    fn hostile(chain: &mut FakeChain) {
        for _ in 0..9 {
            publish(chain, 66, 100_000);
        }
        publish(chain, 7, 20);
    }

    #[test]
    fn it_is_read_by_transaction_near_the_head_and_far_behind() {
        for behind in [0, 50] {
            let mut world = in_the_middle(hostile, behind);
            limited(&mut world);
            world.rounds(8);
            world.agrees();
            assert_eq!(world.known(), 12);
            let status = world.listener.status();
            assert_eq!(
                (status.lag, status.gaps.len(), status.ok),
                (0, 0, true),
                "{status:?}"
            );
        }
    }

    #[test]
    fn payloads_above_the_limit_are_left_out_and_marked() {
        let mut world = in_the_middle(hostile, 0);
        limited(&mut world);
        world.rounds(8);
        let large = world.world.values().filter_map(|(event, _)| match &event.kind {
            EventKind::Published { payload, omitted, .. } => omitted.map(|omitted| (payload.len(), omitted)),
            EventKind::Anchored { .. } => None,
        });
        let large: Vec<_> = large.collect();
        assert_eq!(large.len(), 9);
        for (kept, omitted) in large {
            assert_eq!((kept, omitted.size), (0, 100_000));
            assert_eq!(omitted.digest, keccak256(vec![1; 100_000]));
        }
    }

    #[test]
    fn one_transaction_that_nobody_can_read_is_a_gap() {
        let mut world = in_the_middle(
            |chain| {
                publish(chain, 66, 300_000);
                publish(chain, 7, 20);
            },
            30,
        );
        limited(&mut world);
        world.rounds(8);
        let status = world.listener.status();
        assert_eq!(world.known(), 3);
        assert_eq!((status.lag, status.ok), (0, false));
        let gaps: Vec<(u64, u64)> = status.gaps.iter().map(|gap| (gap.from, gap.to)).collect();
        assert_eq!(gaps, [(BLOCK, BLOCK)]);
        assert!(status.error.unwrap().contains("blocks 2 to 2 are missing"));
        world.lie = None;
        world.pass_time(120_000);
        world.agrees();
        assert!(world.listener.status().ok);
    }
}

mod a_block_that_nobody_gives {
    use super::*;

    fn filled(chain: &mut FakeChain) {
        publish(chain, 9, 10);
        publish(chain, 9, 10);
    }

    #[test]
    fn it_becomes_a_gap_that_is_shown_until_it_is_read() {
        for (behind, words) in [
            (0, "boom"),
            (30, "boom"),
            (30, "internal error"),
            (0, "unknown block"),
        ] {
            let mut world = in_the_middle(filled, behind);
            fails_at(&mut world, words);
            world.pass_time(180_000);
            let status = world.listener.status();
            assert_eq!(status.lag, 0, "{behind} {words}: {status:?}");
            assert_eq!(world.known(), 2, "{behind} {words}");
            assert!(!status.ok && status.gaps[0].from == BLOCK, "{status:?}");
            assert!(status.gaps[0].tries > 0, "{status:?}");
            world.crash();
            assert_eq!(world.listener.status().gaps, status.gaps, "a crash forgets none");
            world.lie = None;
            world.pass_time(600_000);
            world.agrees();
            let status = world.listener.status();
            assert!(status.ok && status.gaps.is_empty(), "{status:?}");
        }
    }

    #[test]
    fn it_is_read_again_less_and_less_often() {
        let mut world = in_the_middle(filled, 30);
        fails_at(&mut world, "boom");
        world.pass_time(180_000);
        let asked = |world: &Listening| {
            let headers = world.asked.iter().filter(|request| {
                **request == Request::Block(streamchain_chain::ethereum::BlockId::Number(BLOCK))
            });
            headers.count()
        };
        let before = asked(&world);
        world.pass_time(3_600_000);
        assert!(
            (1..15).contains(&(asked(&world) - before)),
            "{}",
            asked(&world) - before
        );
    }

    #[test]
    fn a_node_without_log_queries_is_followed_by_its_receipts() {
        let mut world = in_the_middle(filled, 0);
        world.lie = Some(Box::new(|request, outcome| match request {
            Request::Logs { .. } => Err(refused("no such method")),
            _ => outcome,
        }));
        world.pass_time(60_000);
        world.agrees();
        for _ in 0..30 {
            publish(&mut world.chain, 7, 10);
            world.chain.mine();
        }
        world.pass_time(60_000);
        world.agrees();
        assert!(world.listener.status().ok, "{:?}", world.listener.status());
    }

    #[test]
    fn a_node_that_is_away_makes_no_gap() {
        for error in [
            RpcError::Transport("gone".into()),
            RpcError::Http(503),
            RpcError::AllLimited(5),
            refused("rate limit"),
        ] {
            let mut world = in_the_middle(filled, 0);
            world.lie = Some(Box::new(move |request, outcome| match request {
                Request::Logs { .. } | Request::Receipt(_) | Request::BlockReceipts(_) => Err(error.clone()),
                _ => outcome,
            }));
            world.pass_time(600_000);
            let status = world.listener.status();
            assert!(status.gaps.is_empty() && status.lag > 0, "{status:?}");
            world.lie = None;
            world.pass_time(60_000);
            world.agrees();
        }
    }

    #[test]
    fn a_gap_goes_with_the_block_that_a_reorganisation_takes_back() {
        let mut world = in_the_middle(filled, 0);
        fails_at(&mut world, "boom");
        world.pass_time(120_000);
        assert_eq!(world.listener.status().gaps.len(), 1);
        world.lie = None;
        world.chain.reorg(2, Orphans::Dropped);
        world.rounds(3);
        world.agrees();
        assert!(world.listener.status().ok);
    }
}

mod no_events_where_there_are_some {
    use super::*;

    fn filled(chain: &mut FakeChain) {
        publish(chain, 9, 10);
    }

    /// Log queries give nothing for the block.
    fn empty(request: &Request, hash: B256, outcome: Result<Answer, RpcError>) -> Result<Answer, RpcError> {
        match (request, outcome) {
            (Request::Logs { .. }, Ok(Answer::Logs(mut logs))) if is_about(request, hash) => {
                logs.retain(|log| log.block_number != BLOCK);
                Ok(Answer::Logs(logs))
            }
            (_, outcome) => outcome,
        }
    }

    #[test]
    fn the_receipts_show_what_the_bloom_filter_promises() {
        let mut world = in_the_middle(filled, 0);
        let hash = world.chain.blocks[BLOCK as usize].hash;
        world.lie = Some(Box::new(move |request, outcome| empty(request, hash, outcome)));
        world.rounds(2);
        world.agrees();
        assert!(world.listener.status().ok);
    }

    #[test]
    fn receipts_end_what_log_queries_alone_do_not_end() {
        let mut world = in_the_middle(filled, 0);
        let hash = world.chain.blocks[BLOCK as usize].hash;
        world.lie = Some(Box::new(move |request, outcome| match request {
            // Not made yet, or not offered.
            Request::BlockReceipts(_) => Ok(Answer::Receipts(Some(Vec::new()))),
            _ => empty(request, hash, outcome),
        }));
        world.rounds(2);
        world.agrees();
    }

    #[test]
    fn what_stays_doubtful_is_read_again_and_counted() {
        let mut world = in_the_middle(filled, 0);
        let hash = world.chain.blocks[BLOCK as usize].hash;
        world.lie = Some(Box::new(move |request, outcome| match request {
            Request::BlockReceipts(_) | Request::BlockTransactions(_) => Err(refused("no such method")),
            _ => empty(request, hash, outcome),
        }));
        world.rounds(2);
        assert_eq!(world.known(), 2);
        assert_eq!(world.listener.status().doubtful_blocks, 1);
        world.crash();
        world.lie = None;
        world.pass_time(60_000);
        world.agrees();
        assert_eq!(world.listener.status().doubtful_blocks, 0);
    }

    #[test]
    fn a_bloom_filter_without_reason_is_doubted_for_a_while() {
        let mut world = in_the_middle(|_| {}, 0);
        let full = alloy_primitives::Bloom::repeat_byte(0xff);
        world.lie = Some(Box::new(move |request, outcome| match (request, outcome) {
            (Request::Block(_), Ok(Answer::Block(Some(mut block)))) => {
                block.logs_bloom = Some(Box::new(full));
                Ok(Answer::Block(Some(block)))
            }
            (Request::BlockTransactions(_), _) => Err(refused("no such method")),
            (_, outcome) => outcome,
        }));
        world.rounds(2);
        assert!(world.listener.status().doubtful_blocks > 0);
        world.pass_time(3_600_000);
        assert_eq!(world.listener.status().doubtful_blocks, 0);
        world.agrees();
    }

    #[test]
    fn our_own_receipts_show_what_log_queries_leave_out() {
        for (behind, early) in [(0, true), (30, true), (0, false), (30, false)] {
            let mut world = in_the_middle(filled, behind);
            world.chain.has_blooms = false;
            let block = &world.chain.blocks[BLOCK as usize];
            let (hash, tx) = (block.hash, block.txs[0].hash);
            world.lie = Some(Box::new(move |request, outcome| empty(request, hash, outcome)));
            if !early {
                world.rounds(2);
                assert_eq!(world.known(), 2);
            }
            world.listener.handle_mined(BLOCK, hash, tx, world.now);
            if !early {
                assert!(!world.listener.status().ok, "it is shown");
            }
            world.pass_time(60_000);
            world.agrees();
            assert!(
                world.listener.status().ok,
                "{behind} {early}: {:?}",
                world.listener.status()
            );
        }
    }

    #[test]
    fn an_event_that_must_be_there_is_owed_until_receipts_show_it() {
        let mut world = in_the_middle(filled, 0);
        world.chain.has_blooms = false;
        let block = &world.chain.blocks[BLOCK as usize];
        let (hash, tx) = (block.hash, block.txs[0].hash);
        world.lie = Some(Box::new(move |request, outcome| match request {
            Request::BlockReceipts(_) | Request::BlockTransactions(_) => Err(refused("no such method")),
            _ => empty(request, hash, outcome),
        }));
        world.listener.handle_mined(BLOCK, hash, tx, world.now);
        world.pass_time(600_000);
        assert!(!world.listener.status().ok, "log queries alone do not end it");
        world.lie = None;
        world.pass_time(3_600_000);
        world.agrees();
        assert!(world.listener.status().ok);
    }

    #[test]
    fn an_own_receipt_of_an_event_that_was_seen_changes_nothing() {
        let mut world = in_the_middle(filled, 30);
        let block = &world.chain.blocks[BLOCK as usize];
        let (hash, tx) = (block.hash, block.txs[0].hash);
        world.rounds(3);
        world.listener.handle_mined(BLOCK, hash, tx, world.now);
        assert!(world.listener.status().ok);
    }

    #[test]
    fn a_missing_anchor_is_looked_for_among_its_streams_anchors() {
        let mut world = Listening::new(anchored());
        world.lie = Some(Box::new(|request, outcome| match (request, outcome) {
            (Request::Logs { streams, .. }, Ok(Answer::Logs(logs))) if streams.is_empty() => Ok(
                Answer::Logs(logs.into_iter().filter(|log| log.block_number != 2).collect()),
            ),
            (_, outcome) => outcome,
        }));
        world.chain.has_blooms = false;
        world.rounds(3);
        let stream = support::anchoring::stream("demo");
        assert_eq!(world.known(), 1);
        world.listener.handle_missing(stream, Seq(0), 0, 5, world.now);
        world.listener.handle_missing(stream, Seq(0), 0, 5, world.now);
        let status = world.listener.status();
        assert_eq!((status.ok, status.gaps.len()), (false, 1));
        assert_eq!(status.gaps[0].stream, Some(stream));
        world.pass_time(60_000);
        world.agrees();
        assert!(world.listener.status().ok);
    }

    /// Two anchors of one stream, in the blocks 2 and 5.
    fn anchored() -> FakeChain {
        let mut world = support::anchoring::Anchoring::new();
        world.chain.mine();
        for first in [0, 5] {
            world.hand_over(&[support::anchoring::segment("demo", first, 5)]);
            world.round();
            world.chain.mine();
            world.pass_time(4_000);
            world.chain.mine();
        }
        world.chain.mine_many(20);
        let blocks: Vec<u64> = world.chain.logs().iter().map(|log| log.block_number).collect();
        assert_eq!(blocks, [2, 5]);
        std::mem::replace(&mut world.chain, FakeChain::new(Address::ZERO))
    }

    #[test]
    fn an_anchor_that_is_nowhere_stays_shown() {
        let mut world = Listening::new(anchored());
        world.rounds(3);
        world
            .listener
            .handle_missing(StreamId([9; 32]), Seq(7), 0, 5, world.now);
        world.pass_time(3_600_000);
        let status = world.listener.status();
        assert!(!status.ok && status.gaps[0].tries > 3, "{status:?}");
    }
}
