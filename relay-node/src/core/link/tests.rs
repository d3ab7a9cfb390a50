//! Both ends of a link, frame by frame.

use super::*;
use crate::core::fan::{Fan, Standing};
use crate::core::limits::{
    LINK_CREDIT_BYTES, LINK_FRAME_BYTES, LINK_RUN_BYTES, MAX_FORWARDED_BYTES, MAX_NOTICES,
    MAX_PUBLISHER_SHARE,
};
use crate::core::send_queue::NoticeFrame;
use crate::core::session::SessionKey;
use bytes::Bytes;
use std::net::IpAddr;
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Epoch, ProducerId, Seq};
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::ProducerKey;

const SIZE: usize = 1_000;
const UP: LinkPeer = LinkPeer::Shard(0);

fn standing(epoch: u64, committed: u64) -> Standing {
    Standing {
        epoch: Epoch(epoch),
        signed: None,
        head: Seq(committed),
        committed: Seq(committed),
    }
}

/// Messages `0..count` of 1,000 bytes, as many as fit into `max_bytes`.
fn fan(count: u64, max_bytes: usize) -> Fan {
    let mut fan = Fan::new(Seq(0), max_bytes);
    for _ in 0..count {
        fan.replay.push(Bytes::from(vec![7; SIZE]), None);
    }
    fan
}

fn follow(known: Option<(Epoch, Seq)>, credit: u32) -> Follow {
    Follow {
        known,
        credit,
        network: None,
        granted: None,
    }
}

/// The first seq and the length of each frame of messages that is sent now.
fn runs(link: &mut Downstream, fan: &Fan) -> Vec<(u64, usize)> {
    let mut runs = Vec::new();
    link.pump(fan, Seq(0), &mut |frame| {
        if let DownFrame::Messages { first, messages } = frame {
            runs.push((first.0, messages.len()));
        }
    });
    runs
}

fn sent(runs: &[(u64, usize)]) -> usize {
    runs.iter().map(|(_, count)| count).sum()
}

mod upper_end {
    use super::*;

    #[test]
    fn no_more_is_sent_than_there_is_credit_for() {
        let (fan, credit) = (fan(1_000, 2_000_000), 100_000);
        let mut link = Downstream::new(1, &follow(None, credit));
        assert_eq!(runs(&mut link, &fan), [], "nothing before following was sent");
        link.start(standing(1, 0), &fan);
        let first = runs(&mut link, &fan);
        let bytes = sent(&first) * SIZE;
        assert!(bytes <= credit as usize + LINK_RUN_BYTES, "{bytes} bytes");
        assert_eq!(runs(&mut link, &fan), [], "all credit is used up");
        link.add_credit(credit);
        let second = runs(&mut link, &fan);
        assert_eq!(second[0].0, sent(&first) as u64, "it goes on where it stopped");
        link.add_credit(u32::MAX);
        link.add_credit(u32::MAX);
        let rest = runs(&mut link, &fan);
        assert_eq!(sent(&first) + sent(&second) + sent(&rest), 1_000);
    }

    #[test]
    fn what_fell_out_of_the_buffer_is_left_out() {
        let mut fan = fan(10, 10 * SIZE);
        let mut link = Downstream::new(1, &follow(None, 1));
        link.start(standing(1, 0), &fan);
        assert_eq!(sent(&runs(&mut link, &fan)), 10, "one frame always goes");
        (0..30).for_each(|_| fan.replay.push(Bytes::from(vec![7; SIZE]), None));
        assert_eq!(runs(&mut link, &fan), [], "and then none without credit");
        link.add_credit(LINK_CREDIT_BYTES);
        assert_eq!(runs(&mut link, &fan), [(30, 10)]);
    }

    #[test]
    fn a_follower_of_the_same_epoch_goes_on_where_it_was() {
        let fan = fan(10, 5 * SIZE);
        let start_of = |known| {
            let mut link = Downstream::new(1, &follow(known, 100_000));
            let DownFrame::Following { start, .. } = link.start(standing(4, 0), &fan) else {
                panic!("following comes first");
            };
            start
        };
        assert_eq!(start_of(None), Seq(5), "all that is there");
        assert_eq!(start_of(Some((Epoch(4), Seq(8)))), Seq(8));
        assert_eq!(start_of(Some((Epoch(4), Seq(2)))), Seq(5), "a gap");
        assert_eq!(
            start_of(Some((Epoch(3), Seq(8)))),
            Seq(5),
            "of another epoch nothing counts"
        );
    }

    #[test]
    fn notices_that_wait_for_credit_are_bounded() {
        let fan = fan(0, SIZE);
        let mut link = Downstream::new(1, &follow(None, 0));
        link.start(standing(1, 0), &fan);
        for end in 0..MAX_NOTICES as u64 + 10 {
            link.notice(&NoticeFrame {
                end: Seq(end),
                whole: Bytes::from_static(b"notice"),
                brief: None,
            });
        }
        link.add_credit(LINK_CREDIT_BYTES);
        let mut ends = Vec::new();
        link.pump(&fan, Seq(0), &mut |frame| {
            if let DownFrame::Notice(notice) = frame {
                ends.push(notice.end.0);
            }
        });
        assert_eq!(
            ends,
            (10..MAX_NOTICES as u64 + 10).collect::<Vec<_>>(),
            "the newest"
        );
    }
}

mod lower_end {
    use super::*;

    fn greeting(publisher: u64) -> Greeting {
        Greeting {
            publisher,
            producer: ProducerKey {
                author: Address::ZERO,
                id: ProducerId([publisher as u8; 16]),
            },
            key: None,
            network: Network::of(IpAddr::from([127, 0, 0, 1])),
        }
    }

    fn publication(publisher: u64, producer_seq: u64, bytes: usize) -> Forwarded {
        Forwarded {
            publisher,
            producer_seq,
            payloads: vec![Bytes::from(vec![1; bytes])],
            signed: None,
        }
    }

    /// A follower with these publishers, each welcomed.
    fn following(publishers: &[u64]) -> Following {
        let mut following = Following::new(UP, 1, 100_000);
        assert_eq!(following.take_following(standing(1, 0), Seq(0)), Change::First);
        for publisher in publishers {
            let origin = Origin::Session(SessionKey(*publisher));
            assert!(following.hello(origin, greeting(*publisher)).is_some());
            let (waits, again) = following.take_welcome(*publisher).unwrap();
            assert_eq!((waits, again.len()), (Some(origin), 0));
        }
        following
    }

    fn publishes(frames: &[UpFrame]) -> Vec<u64> {
        let number = |frame: &UpFrame| match frame {
            UpFrame::Publish(forwarded) => Some(forwarded.producer_seq),
            _ => None,
        };
        frames.iter().filter_map(number).collect()
    }

    #[test]
    fn credit_goes_back_a_quarter_at_a_time() {
        let mut following = following(&[]);
        let message = || crate::core::replay_buffer::EncodedMessage {
            message: Bytes::from(vec![7; 65_000]),
            signature: None,
        };
        let (mut given, mut taken) = (0, 0);
        for seq in 0..200 {
            following.take_messages(Seq(seq), vec![message()]);
            taken += 65_000 + u64::from(LINK_FRAME_BYTES);
            if let Some(UpFrame::Credit(bytes)) = following.credit() {
                assert!(bytes >= LINK_CREDIT_BYTES / 4);
                given += u64::from(bytes);
            }
        }
        assert!(given <= taken && taken - given < u64::from(LINK_CREDIT_BYTES) / 4);
        assert!(
            following.fan.replay.bytes() <= 100_000,
            "the buffer stays within its bound"
        );
    }

    #[test]
    fn messages_left_out_are_a_gap_and_none_is_taken_twice() {
        let mut following = following(&[]);
        let messages = |count| {
            vec![
                crate::core::replay_buffer::EncodedMessage {
                    message: Bytes::from_static(b"m"),
                    signature: None,
                };
                count
            ]
        };
        following.take_messages(Seq(0), messages(3));
        following.take_messages(Seq(2), messages(2));
        assert_eq!(
            (following.fan.replay.start(), following.fan.replay.end()),
            (Seq(0), Seq(4))
        );
        following.take_messages(Seq(9), messages(1));
        assert_eq!(
            (following.fan.replay.start(), following.fan.replay.end()),
            (Seq(9), Seq(10))
        );
    }

    #[test]
    fn one_publisher_never_takes_all_that_may_be_forwarded() {
        let mut following = following(&[1, 2]);
        let part = MAX_FORWARDED_BYTES / MAX_PUBLISHER_SHARE / 4;
        let taken = |following: &mut Following, publisher, number| {
            following.forward(publication(publisher, number, part)).0
        };
        for number in 0..4 {
            assert_eq!(taken(&mut following, 1, number), Forwarding::Taken);
        }
        assert_eq!(taken(&mut following, 1, 4), Forwarding::Full);
        assert_eq!(taken(&mut following, 2, 0), Forwarding::Taken, "others go on");
        let (origin, extent) = following.take_answer(1, 0).unwrap();
        assert_eq!((origin, extent.producer_seq), (Origin::Session(SessionKey(1)), 0));
        assert_eq!(
            taken(&mut following, 1, 4),
            Forwarding::Taken,
            "an answer makes room"
        );
        following.leave(1);
        assert_eq!(following.take_answer(1, 1), None, "nobody waits for it any more");
    }

    #[test]
    fn what_has_no_answer_goes_again_over_the_next_link() {
        let mut following = following(&[1]);
        (0..3).for_each(|number| drop(following.forward(publication(1, number, 10))));
        assert!(following.take_answer(1, 0).is_some());
        following.reconnect(LinkPeer::Relay(9), 9);
        let (taken, now) = following.forward(publication(1, 3, 10));
        assert_eq!(
            (taken, now.is_none()),
            (Forwarding::Taken, true),
            "it waits for the link"
        );
        assert_eq!(following.take_following(standing(1, 0), Seq(0)), Change::Link);
        assert_eq!(following.greetings().len(), 1);
        let (waits, again) = following.take_welcome(1).unwrap();
        assert_eq!(waits, None, "its session notices nothing");
        assert_eq!(publishes(&again), [1, 2, 3], "in order");
    }

    #[test]
    fn another_epoch_drops_what_was_forwarded() {
        let mut following = following(&[1]);
        let _ = following.forward(publication(1, 0, 10));
        following.reconnect(LinkPeer::Relay(9), 9);
        assert_eq!(following.take_following(standing(2, 5), Seq(5)), Change::Epoch);
        assert_eq!(following.greetings().len(), 0, "publishers begin anew");
        assert_eq!(following.fan.replay.start(), Seq(5));
        assert!(following.is_settled());
    }
}
