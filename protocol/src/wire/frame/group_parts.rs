//! A signed group as one frame, and as its signature and each message by itself.

use super::relay::RelayFrame;
use super::signed_group::SignedGroup;
use crate::ids::Seq;

impl<'a> SignedGroup<'a> {
    /// Returns a *signature* and the messages behind it as one frame; `None` where they are not one group, whole, of one time.
    pub fn join(
        signature: &RelayFrame<'_>,
        messages: impl IntoIterator<Item = RelayFrame<'a>>,
    ) -> Option<Self> {
        let RelayFrame::Signature {
            epoch,
            seq,
            producer,
            producer_seq,
            group,
        } = *signature
        else {
            return None;
        };
        let mut one = None;
        let mut payloads = Vec::with_capacity(usize::from(group.count));
        for (expected, message) in (seq.0..).zip(messages) {
            let RelayFrame::Message {
                epoch: of,
                seq,
                time,
                author,
                payload,
            } = message
            else {
                return None;
            };
            let is_next = of == epoch && seq.0 == expected;
            if !is_next || *one.get_or_insert((time, author)) != (time, author) {
                return None;
            }
            payloads.push(payload);
        }
        let (time, author) = one.filter(|_| payloads.len() == usize::from(group.count))?;
        Some(Self {
            epoch,
            seq,
            time,
            author,
            producer,
            producer_seq,
            header: group,
            payloads,
        })
    }

    /// Returns the *signature* that stands before the messages where they come one by one.
    pub fn signature(&self) -> RelayFrame<'static> {
        RelayFrame::Signature {
            epoch: self.epoch,
            seq: self.seq,
            producer: self.producer,
            producer_seq: self.producer_seq,
            group: self.header,
        }
    }

    /// Returns the messages one by one.
    pub fn messages(&self) -> impl Iterator<Item = RelayFrame<'a>> {
        let (epoch, time, author) = (self.epoch, self.time, self.author);
        (self.seq.0..)
            .zip(&self.payloads)
            .map(move |(seq, payload)| RelayFrame::Message {
                epoch,
                seq: Seq(seq),
                time,
                author,
                payload,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, ProducerId};
    use crate::signed::{GroupHeader, PublicKey, Signature};
    use crate::time::UnixMs;
    use alloy_primitives::{Address, B256};

    fn group() -> SignedGroup<'static> {
        SignedGroup {
            epoch: Epoch(3),
            seq: Seq(12),
            time: UnixMs(1_700_000_000_000),
            author: Address::repeat_byte(0x11),
            producer: ProducerId([0xab; 16]),
            producer_seq: 7,
            header: GroupHeader {
                count: 2,
                previous: B256::repeat_byte(0x22),
                key: PublicKey::from_bytes([2; 33]).unwrap(),
                signature: Signature([0x44; 64]),
            },
            payloads: vec![b"hi", b"you"],
        }
    }

    fn messages(group: &SignedGroup<'static>) -> Vec<RelayFrame<'static>> {
        group.messages().collect()
    }

    #[test]
    fn the_parts_of_a_group_make_it_again() {
        let group = group();
        let again = SignedGroup::join(&group.signature(), group.messages());
        assert_eq!(again, Some(group));
    }

    #[test]
    fn what_is_not_one_whole_group_is_not_joined() {
        let group = group();
        let all = messages(&group);
        let join =
            |messages: &[RelayFrame<'static>]| SignedGroup::join(&group.signature(), messages.to_vec());
        assert_eq!(join(&all[..1]), None, "one is missing");
        assert_eq!(join(&all[1..]), None, "the first is missing");
        assert_eq!(join(&[all.clone(), all.clone()].concat()), None, "too many");
        assert_eq!(join(&[]), None);
        let others = [
            SignedGroup {
                epoch: Epoch(4),
                ..group.clone()
            },
            SignedGroup {
                seq: Seq(13),
                ..group.clone()
            },
            SignedGroup {
                time: UnixMs(1),
                ..group.clone()
            },
            SignedGroup {
                author: Address::ZERO,
                ..group.clone()
            },
        ];
        for other in others {
            assert_eq!(
                join(&[all[0].clone(), messages(&other)[1].clone()]),
                None,
                "{other:?}"
            );
        }
        assert_eq!(SignedGroup::join(&all[0], all.clone()), None, "no signature");
        assert_eq!(join(&[group.signature(), all[0].clone()]), None, "no message");
    }
}
