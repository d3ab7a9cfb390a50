//! A message's receipt: the path in its segment, then the path of the segment's root in the anchor.

use alloy_primitives::{Address, B256};
use streamchain_protocol::ids::{Seq, StreamId, StreamName};
use streamchain_protocol::proof::leaves;
use streamchain_protocol::proof::merkle::Tree;
use streamchain_protocol::proof::{
    RECEIPT_TYPE, RECEIPT_VERSION, Receipt, ReceiptAnchor, ReceiptMessage, ReceiptStream,
};
use streamchain_protocol::wire::decode_records;

/// All that a receipt is made of.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    /// The contract that emitted the anchor.
    pub contract: Address,
    /// The stream's id, owner and name.
    pub stream: (StreamId, Address, StreamName),
    /// The anchor over the message.
    pub anchor: ReceiptAnchor,
    /// First seq and root of each segment under the anchor, in order.
    pub covered: Vec<(Seq, B256)>,
    /// First seq and encoded records of the message's segment.
    pub segment: (Seq, Vec<u8>),
}

impl Sources {
    /// The receipt of message `seq`; `None` when the sources do not have it.
    pub fn receipt(&self, seq: Seq) -> Option<Receipt> {
        let (first, records) = &self.segment;
        let (id, owner, name) = &self.stream;
        let index = usize::try_from(seq.0.checked_sub(first.0)?).ok()?;
        let record = decode_records(records).ok()?.into_iter().nth(index)?;
        let leaves = leaves(*id, *first, records)?;
        let mut proof = Tree::new(&leaves)?.proof(index)?;
        let roots: Vec<B256> = self.covered.iter().map(|(_, root)| *root).collect();
        let place = self.covered.iter().position(|(begins, _)| begins == first)?;
        let anchored = Tree::new(&roots)?;
        proof.extend(anchored.proof(place)?);
        Some(Receipt {
            r#type: RECEIPT_TYPE.to_owned(),
            version: RECEIPT_VERSION,
            chain_id: self.chain_id,
            contract: self.contract,
            stream: ReceiptStream {
                id: *id,
                owner: *owner,
                name: name.clone(),
            },
            message: ReceiptMessage {
                seq,
                time: record.time,
                author: record.author,
                payload: record.payload,
            },
            leaf: *leaves.get(index)?,
            proof,
            root: anchored.root(),
            anchor: self.anchor.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Bytes;
    use streamchain_protocol::ids::ProducerId;
    use streamchain_protocol::time::UnixMs;
    use streamchain_protocol::wire::{Record, encode_records};

    /// A stream whose segments have these sizes, all under one anchor.
    fn sources(sizes: &[u64], wanted: usize) -> Sources {
        let owner = Address::repeat_byte(7);
        let name: StreamName = "demo".parse().unwrap();
        let id = StreamId::of(owner, &name);
        let record = |seq: u64| Record {
            time: UnixMs(1_700_000_000_000 + seq),
            author: Address::repeat_byte(1),
            producer: ProducerId([2; 16]),
            producer_seq: seq,
            payload: Bytes::from(seq.to_string().into_bytes()),
        };
        let mut first = 0;
        let mut covered = Vec::new();
        let mut segments = Vec::new();
        for count in sizes {
            let records = encode_records((first..first + count).map(record).collect::<Vec<_>>().iter());
            let root = Tree::new(&leaves(id, Seq(first), &records).unwrap())
                .unwrap()
                .root();
            covered.push((Seq(first), root));
            segments.push((Seq(first), records));
            first += count;
        }
        let roots: Vec<B256> = covered.iter().map(|(_, root)| *root).collect();
        Sources {
            chain_id: 31_337,
            contract: Address::repeat_byte(9),
            stream: (id, owner, name),
            anchor: ReceiptAnchor {
                first: Seq(0),
                count: first,
                root: Tree::new(&roots).unwrap().root(),
                tx: B256::repeat_byte(3),
                block: 12,
                block_hash: B256::repeat_byte(4),
                log_index: 0,
            },
            segment: segments[wanted].clone(),
            covered,
        }
    }

    #[test]
    fn every_message_under_an_anchor_has_a_receipt_that_checks() {
        let sizes = [1, 5, 2, 3, 1, 4, 7];
        for (index, size) in sizes.iter().enumerate() {
            let first: u64 = sizes[..index].iter().sum();
            for seq in first..first + size {
                let receipt = sources(&sizes, index).receipt(Seq(seq)).unwrap();
                assert_eq!(receipt.check(), Ok(()), "seq {seq}");
                assert_eq!(receipt.message.payload, Bytes::from(seq.to_string().into_bytes()));
            }
        }
    }

    #[test]
    fn a_message_outside_its_segment_has_none() {
        assert!(sources(&[2, 2], 1).receipt(Seq(0)).is_none());
        assert!(sources(&[2, 2], 1).receipt(Seq(4)).is_none());
    }

    #[test]
    fn a_missing_segment_is_found_by_the_check() {
        let mut sources = sources(&[2, 2, 2], 1);
        sources.covered.remove(2);
        assert!(sources.receipt(Seq(2)).unwrap().check().is_err());
    }
}
