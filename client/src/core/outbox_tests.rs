use super::*;

fn outbox(messages: usize) -> Outbox {
    let mut outbox = Outbox::new(ProducerId([7; 16]), None);
    for number in 0..messages {
        outbox.publish(vec![number as u8]).unwrap();
    }
    outbox
}

fn limits() -> ChannelLimits {
    ChannelLimits {
        payload: 65_536,
        batch_ms: 50,
        buffer: 0,
        messages_per_s: 0,
        bytes_per_s: 0,
        group_messages: 256,
        signed: false,
    }
}

fn send_all(outbox: &mut Outbox) -> u64 {
    outbox.write_message(usize::MAX, &mut Vec::new()).unwrap().0
}

#[test]
fn messages_leave_when_the_mark_is_above_them() {
    let mut outbox = outbox(3);
    outbox.welcome(None, &limits()).unwrap();
    assert_eq!(send_all(&mut outbox), 3);
    for number in 0..3 {
        outbox.accepted(number, Some(Seq(10 + number)), None).unwrap();
    }
    outbox.committed(Seq(12)).unwrap();
    assert_eq!(outbox.len(), 1);
    let stored: Vec<_> = std::iter::from_fn(|| outbox.next_stored()).collect();
    assert_eq!(
        stored.iter().map(|one| one.seq).collect::<Vec<_>>(),
        [Some(Seq(10)), Some(Seq(11))]
    );
}

#[test]
fn a_new_session_sends_what_is_not_stored_again() {
    let mut outbox = outbox(3);
    outbox.welcome(None, &limits()).unwrap();
    send_all(&mut outbox);
    outbox.accepted(0, Some(Seq(0)), None).unwrap();
    outbox.accepted(1, Some(Seq(1)), None).unwrap();
    outbox.welcome(Some(0), &limits()).unwrap();
    outbox.committed(Seq(99)).unwrap();
    assert_eq!(outbox.len(), 2, "seqs of an earlier session count for nothing");
    assert_eq!(send_all(&mut outbox), 2);
}

#[test]
fn a_relay_that_has_less_than_was_stored_is_fatal() {
    let mut outbox = outbox(3);
    outbox.welcome(Some(1), &limits()).unwrap();
    assert_eq!(outbox.welcome(Some(0), &limits()), Err(Fatal::StreamLost));
}

#[test]
fn an_earlier_run_of_the_producer_counts() {
    let mut outbox = outbox(2);
    outbox.welcome(Some(4), &limits()).unwrap();
    assert!(outbox.len() == 0);
    for _ in 2..5 {
        outbox.publish(vec![1]).unwrap();
        assert!(outbox.len() == 0, "it is stored already");
    }
    assert_eq!(outbox.publish(vec![1]), Ok(5));
    assert_eq!(outbox.len(), 1);
    assert_eq!(std::iter::from_fn(|| outbox.next_stored()).count(), 5);
}

#[test]
fn the_room_is_bounded() {
    let mut outbox = outbox(0);
    let refused = (0..).find_map(|_| outbox.publish(vec![0; 60_000]).err());
    assert_eq!(refused, Some(PublishError::Full));
    assert!(outbox.bytes < MAX_UNSTORED_BYTES + 60_000);
    assert_eq!(
        outbox.publish(vec![0; 65_537]),
        Err(PublishError::TooLarge(65_537))
    );
}

#[test]
fn posts_go_on_until_the_last_one_is_stored() {
    let mut outbox = outbox(3);
    outbox.begin_posting();
    let mut posts = vec![];
    while let Some(post) = outbox.post().unwrap() {
        posts.push((post.producer_seq, post.at_once));
        let is_last = !post.at_once;
        let answer = if is_last {
            PostAnswer::Stored(Some(Seq(9)))
        } else {
            PostAnswer::Kept
        };
        outbox.posted(posts.last().unwrap().0, answer).unwrap();
    }
    assert_eq!(posts, [(0, true), (1, true), (2, false)]);
    assert!(outbox.len() == 0);
    assert_eq!(
        std::iter::from_fn(|| outbox.next_stored()).last().unwrap().seq,
        Some(Seq(9))
    );
}

#[test]
fn a_message_that_the_edge_only_keeps_is_asked_for_again() {
    let mut outbox = outbox(1);
    outbox.begin_posting();
    assert!(outbox.posted(0, PostAnswer::Kept).unwrap(), "it waits");
    assert_eq!(outbox.post().unwrap().unwrap().producer_seq, 0);
}

mod signed {
    use super::*;
    use crate::core::tests::FakeKey;
    use streamchain_protocol::ids::StreamId;
    use streamchain_protocol::wire::cbor::Reader;
    use streamchain_protocol::wire::frame::ClientFrame;
    use streamchain_protocol::{Address, B256};

    fn signing(chain: KeptChain) -> Signing {
        Signing {
            key: std::sync::Arc::new(FakeKey),
            stream: StreamId([1; 32]),
            author: Address::repeat_byte(2),
            chain,
        }
    }

    fn signed_outbox(messages: usize, chain: KeptChain) -> Outbox {
        let mut outbox = Outbox::new(ProducerId([7; 16]), Some(signing(chain)));
        for number in 0..messages {
            outbox.publish(vec![number as u8]).unwrap();
        }
        outbox
    }

    /// The groups that are sent, as first number and count, and their bytes.
    fn sent(outbox: &mut Outbox, max: usize) -> (Vec<(u64, usize)>, Vec<Vec<u8>>) {
        let (mut groups, mut frames) = (vec![], vec![]);
        loop {
            let mut bytes = Vec::new();
            if outbox.write_message(max, &mut bytes).unwrap().0 == 0 {
                return (groups, frames);
            }
            match ClientFrame::read(&mut Reader::new(&bytes)).unwrap().unwrap() {
                ClientFrame::Group {
                    producer_seq,
                    payloads,
                    ..
                } => groups.push((producer_seq, payloads.len())),
                frame => panic!("{frame:?}"),
            }
            frames.push(bytes);
        }
    }

    #[test]
    fn a_flush_is_one_group_and_is_sent_again_as_it_was() {
        let mut outbox = signed_outbox(3, KeptChain::default());
        outbox.welcome(None, &limits()).unwrap();
        let (groups, first) = sent(&mut outbox, usize::MAX);
        assert_eq!(groups, [(0, 3)]);
        outbox.publish(vec![9]).unwrap();
        let (groups, second) = sent(&mut outbox, usize::MAX);
        assert_eq!(groups, [(3, 1)]);
        outbox.welcome(None, &limits()).unwrap();
        let (_, again) = sent(&mut outbox, 1);
        assert_eq!(again, [first, second].concat(), "whatever the pace is now");
        outbox.accepted(0, Some(Seq(5)), Some(3)).unwrap();
        outbox.committed(Seq(8)).unwrap();
        let seqs: Vec<_> = std::iter::from_fn(|| outbox.next_stored())
            .map(|one| one.seq)
            .collect();
        assert_eq!(seqs, [Some(Seq(5)), Some(Seq(6)), Some(Seq(7))]);
        assert_eq!(outbox.chain().unwrap().stored, 3);
    }

    #[test]
    fn groups_keep_to_the_limits_of_the_relay() {
        let mut outbox = signed_outbox(300, KeptChain::default());
        outbox.welcome(None, &limits()).unwrap();
        assert_eq!(sent(&mut outbox, usize::MAX).0, [(0, 256), (256, 44)]);
        let mut outbox = signed_outbox(5, KeptChain::default());
        let few = ChannelLimits {
            group_messages: 2,
            ..limits()
        };
        outbox.welcome(None, &few).unwrap();
        assert_eq!(sent(&mut outbox, usize::MAX).0, [(0, 2), (2, 2), (4, 1)]);
        let mut outbox = signed_outbox(0, KeptChain::default());
        for size in [65_536, 10_000, 10_000] {
            outbox.publish(vec![0; size]).unwrap();
        }
        outbox.welcome(None, &limits()).unwrap();
        assert_eq!(sent(&mut outbox, usize::MAX).0, [(0, 1), (1, 1), (2, 1)]);
    }

    #[test]
    fn a_later_run_sends_the_groups_that_were_signed() {
        let mut before = signed_outbox(5, KeptChain::default());
        before.welcome(None, &limits()).unwrap();
        let (groups, frames) = sent(&mut before, 2);
        assert_eq!(groups, [(0, 2), (2, 2), (4, 1)]);
        let chain = KeptChain {
            groups: before.take_unkept(),
            ..KeptChain::default()
        };
        assert_eq!(chain.groups.len(), 3);
        let mut after = signed_outbox(3, chain.clone());
        after.welcome(Some(1), &limits()).unwrap();
        assert_eq!(sent(&mut after, 9).0, [], "message 3 is not there yet");
        (3..6).for_each(|number| {
            after.publish(vec![number]).unwrap();
        });
        let (groups, again) = sent(&mut after, 9);
        assert_eq!(groups, [(2, 2), (4, 1), (5, 1)]);
        assert_eq!(again[..2], frames[1..]);
        let mut other = signed_outbox(0, chain);
        (10..16).for_each(|number| {
            other.publish(vec![number]).unwrap();
        });
        other.welcome(Some(1), &limits()).unwrap();
        let refused = other.write_message(9, &mut Vec::new());
        assert_eq!(refused, Err(Fatal::OtherMessages(2)));
    }

    #[test]
    fn a_chain_that_is_not_known_is_not_gone_on_with() {
        let mut outbox = signed_outbox(5, KeptChain::default());
        outbox.welcome(Some(2), &limits()).unwrap();
        assert_eq!(outbox.write_message(9, &mut Vec::new()), Err(Fatal::ChainLost));
        let mut outbox = signed_outbox(3, KeptChain::default());
        outbox.welcome(Some(2), &limits()).unwrap();
        assert_eq!(outbox.len(), 0, "what is stored is passed over all the same");
        let kept = KeptChain {
            stored: 3,
            digest: B256::repeat_byte(1),
            groups: vec![],
        };
        let mut outbox = signed_outbox(5, kept);
        assert_eq!(outbox.welcome(Some(1), &limits()), Err(Fatal::StreamLost));
    }

    #[test]
    fn a_part_of_a_group_that_is_stored_is_an_error() {
        let mut outbox = signed_outbox(3, KeptChain::default());
        outbox.welcome(None, &limits()).unwrap();
        sent(&mut outbox, 9);
        let wrong = outbox.welcome(Some(1), &limits());
        assert!(matches!(wrong, Err(Fatal::Protocol(_))), "{wrong:?}");
    }

    #[test]
    fn groups_are_posted_whole() {
        let mut outbox = signed_outbox(300, KeptChain::default());
        outbox.begin_posting();
        let mut posts = vec![];
        while let Some(post) = outbox.post().unwrap() {
            assert!(post.signed.is_some());
            let (number, count, is_last) = (post.producer_seq, post.payloads.len(), !post.at_once);
            posts.push((number, count));
            let answer = if is_last {
                PostAnswer::Stored(Some(Seq(number)))
            } else {
                PostAnswer::Kept
            };
            outbox.posted(number, answer).unwrap();
        }
        assert_eq!(posts, [(0, 256), (256, 44)]);
        let stored: Vec<_> = std::iter::from_fn(|| outbox.next_stored()).collect();
        assert_eq!(stored.len(), 300);
        assert_eq!(stored[299].seq, Some(Seq(299)));
        assert_eq!(outbox.chain().unwrap().stored, 300);
    }
}
