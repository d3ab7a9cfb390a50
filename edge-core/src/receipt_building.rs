//! A message's receipt: the path in its segment, then the path of the segment's root in its run, which was anchored
//! alone (version 1) or in a round (version 2).

use alloy_primitives::{Address, B256};
use streamchain_protocol::ids::{Seq, StreamId, StreamName};
use streamchain_protocol::proof::bucket::{Buckets, bucket_of, bucket_proof, bucket_root};
use streamchain_protocol::proof::merkle::{Tree, process_proof};
use streamchain_protocol::proof::range::{path, range_leaf};
use streamchain_protocol::proof::run::{RunEntry, run_proof};
use streamchain_protocol::proof::{
    RECEIPT_TYPE, RECEIPT_VERSION, ROUND_RECEIPT_VERSION, ROUNDS_NAME, Receipt, ReceiptAnchor, ReceiptAuthor,
    ReceiptBucket, ReceiptGroup, ReceiptMessage, ReceiptRange, ReceiptRound, ReceiptRun, ReceiptStream,
    leaves, rounds_stream,
};
use streamchain_protocol::signed::{Certificate, GroupWalker, PublicKey, SignedGroup, Walked, group_proof};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::{StoredRecord, decode_stored_records};

/// All that a receipt is made of.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    /// The contract that emitted the anchor.
    pub contract: Address,
    /// The stream's id, owner and name.
    pub stream: (StreamId, Address, StreamName),
    /// The anchor over the message, or that of its round.
    pub anchor: ReceiptAnchor,
    /// First seq and root of each segment of the message's run, in order.
    pub covered: Vec<(Seq, B256)>,
    /// First seq and encoded records of the message's segment.
    pub segment: (Seq, Vec<u8>),
    /// The round that the run is in; `None` when the run has an anchor of its own.
    pub round: Option<RoundSources>,
    /// Who vouches for the key of the message's signer ([`Sources::signer`]); `None` when nobody does.
    pub certificate: Option<Certificate>,
}

/// Who signed a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signer {
    /// The author.
    pub author: Address,
    /// The key.
    pub key: PublicKey,
    /// The message's time.
    pub time: UnixMs,
}

/// What leads from a run to the anchor of its round, whose number is the anchor's `first`.
#[derive(Debug, Clone)]
pub struct RoundSources {
    /// The owner of the stream of rounds.
    pub owner: Address,
    /// The runs of the stream's bucket in this round, in the order of their stream ids.
    pub runs: Vec<RunEntry>,
    /// All buckets of this round.
    pub buckets: Box<Buckets>,
    /// How many rounds the range has, and the hashes of the nodes that [`path`] names for this round; `None` when some
    /// of them are not known. The receipt is then without the part that contracts need.
    pub range: Option<(u64, Vec<B256>)>,
}

impl RoundSources {
    /// Returns the part of the receipt of a message of this stream; `None` when the sources do not have its run, or not
    /// in this bucket.
    fn part(&self, stream: StreamId, anchor: &ReceiptAnchor) -> Option<ReceiptRound> {
        let (round, bucket) = (anchor.first.0, bucket_of(stream));
        let index = self.runs.iter().position(|run| run.stream == stream)?;
        let run = self.runs.get(index)?;
        let root = bucket_root(&self.runs);
        if self.buckets.get(usize::from(bucket)) != Some(&root) {
            return None;
        }
        let rounds = rounds_stream(self.owner);
        Some(ReceiptRound {
            stream: ReceiptStream {
                id: rounds,
                owner: self.owner,
                name: ROUNDS_NAME.parse().ok()?,
            },
            run: ReceiptRun {
                first: run.first,
                count: run.count,
                previous: run.previous,
                proof: run_proof(&self.runs, index)?,
            },
            bucket: ReceiptBucket {
                runs: root.runs,
                root: root.root,
                proof: bucket_proof(round, bucket, &self.buckets),
            },
            range: self.range_part(range_leaf(rounds, round, anchor.root), round),
        })
    }

    fn range_part(&self, leaf: B256, round: u64) -> Option<ReceiptRange> {
        let (rounds, proof) = self.range.as_ref()?;
        let is_whole = path(round, *rounds).is_some_and(|path| path.len() == proof.len());
        is_whole.then(|| ReceiptRange {
            proof: proof.clone(),
            peak: process_proof(leaf, proof),
        })
    }
}

impl Sources {
    /// Who signed message `seq`; `None` when nobody did.
    pub fn signer(&self, seq: Seq) -> Option<Signer> {
        let (group, record) = self.group_of(seq)?;
        Some(Signer {
            author: record.author,
            key: group.key,
            time: record.time,
        })
    }

    /// The group of message `seq`, and the message. A group lies in one segment whole.
    fn group_of(&self, seq: Seq) -> Option<(SignedGroup, StoredRecord)> {
        let (first, records) = &self.segment;
        let mut walker = GroupWalker::new(self.stream.0);
        let mut wanted = None;
        for (at, record) in (first.0..).zip(decode_stored_records(records).ok()?) {
            let walked = walker.push(&record).ok()?;
            if at == seq.0 {
                wanted = Some(record);
            }
            match (walked, &wanted) {
                (Walked::Group(group), Some(_)) => return wanted.map(|record| (group, record)),
                (Walked::Unsigned, Some(_)) => return None,
                _ => {}
            }
        }
        None
    }

    /// The author's part of the receipt of message `seq`, where somebody vouches for the key.
    fn author_part(&self, seq: Seq) -> Option<ReceiptAuthor> {
        let certificate = self.certificate.clone()?;
        let (group, record) = self.group_of(seq)?;
        let (signed, producer_seq) = (group.signed, record.producer_seq);
        let index = usize::try_from(producer_seq.checked_sub(signed.first)?).ok()?;
        Some(ReceiptAuthor {
            key: group.key,
            producer: signed.producer,
            producer_seq,
            group: ReceiptGroup {
                first: signed.first,
                count: signed.count,
                previous: signed.previous,
                root: signed.root,
                proof: group_proof(signed.first, &group.hashes, index)?,
            },
            signature: group.signature,
            certificate,
        })
    }

    /// The receipt of message `seq`; `None` when the sources do not have it.
    pub fn receipt(&self, seq: Seq) -> Option<Receipt> {
        let (first, records) = &self.segment;
        let (id, owner, name) = &self.stream;
        let index = usize::try_from(seq.0.checked_sub(first.0)?).ok()?;
        let record = decode_stored_records(records).ok()?.into_iter().nth(index)?;
        let leaves = leaves(*id, *first, records)?;
        let mut proof = Tree::new(&leaves)?.proof(index)?;
        let roots: Vec<B256> = self.covered.iter().map(|(_, root)| *root).collect();
        let place = self.covered.iter().position(|(begins, _)| begins == first)?;
        let anchored = Tree::new(&roots)?;
        proof.extend(anchored.proof(place)?);
        let round = match &self.round {
            Some(sources) => Some(sources.part(*id, &self.anchor)?),
            None => None,
        };
        let (payload, erased) = record.payload.shown();
        Some(Receipt {
            r#type: RECEIPT_TYPE.to_owned(),
            version: match round {
                Some(_) => ROUND_RECEIPT_VERSION,
                None => RECEIPT_VERSION,
            },
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
                payload,
                erased,
            },
            leaf: *leaves.get(index)?,
            proof,
            root: anchored.root(),
            round,
            anchor: self.anchor.clone(),
            author: self.author_part(seq),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Bytes;
    use streamchain_protocol::ids::ProducerId;
    use streamchain_protocol::proof::bucket::{BUCKETS, BucketRoot, round_root};
    use streamchain_protocol::signed::{GroupDigest, GroupHeader, Signature, author_of, group_root};
    use streamchain_protocol::wire::{Record, encode_records, erase_payloads};

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
            group: None,
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
            round: None,
            certificate: None,
        }
    }

    /// The same run in round 5, beside runs of other streams.
    fn sources_of_round(sizes: &[u64], wanted: usize) -> Sources {
        let mut sources = sources(sizes, wanted);
        let stream = sources.stream.0;
        let run = |stream: StreamId| RunEntry {
            stream,
            first: Seq(0),
            count: sizes.iter().sum::<u64>() as u32,
            root: sources.anchor.root,
            previous: B256::ZERO,
        };
        let others = (1..4).map(|index| {
            let mut other = stream;
            other.0[31] ^= index;
            run(other)
        });
        let mut runs: Vec<RunEntry> = others.chain([run(stream)]).collect();
        runs.sort_by_key(|run| run.stream);
        let mut buckets = Box::new([BucketRoot::default(); BUCKETS]);
        buckets[usize::from(bucket_of(stream))] = bucket_root(&runs);
        sources.anchor.first = Seq(5);
        sources.anchor.count = 1;
        sources.anchor.root = round_root(5, &buckets);
        sources.round = Some(RoundSources {
            owner: Address::repeat_byte(8),
            runs,
            buckets,
            range: Some((6, vec![B256::repeat_byte(6)])),
        });
        sources
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
    fn every_message_in_a_round_has_a_receipt_that_checks() {
        let sizes = [3, 1, 4];
        for (index, size) in sizes.iter().enumerate() {
            let first: u64 = sizes[..index].iter().sum();
            for seq in first..first + size {
                let receipt = sources_of_round(&sizes, index).receipt(Seq(seq)).unwrap();
                assert_eq!(receipt.check(), Ok(()), "seq {seq}");
                assert_eq!(receipt.version, 2);
                let round = receipt.round.unwrap();
                assert_eq!(round.range.map(|range| range.proof.len()), Some(1));
            }
        }
    }

    #[test]
    fn a_list_that_lacks_the_run_gives_no_receipt() {
        let with = |change: fn(&mut RoundSources)| {
            let mut sources = sources_of_round(&[2, 2], 1);
            change(sources.round.as_mut().unwrap());
            sources.receipt(Seq(2))
        };
        assert!(with(|round| round.runs.clear()).is_none());
        assert!(
            with(|round| round.runs.truncate(1)).is_none(),
            "another list than the round's"
        );
        assert!(with(|round| round.buckets.fill(BucketRoot::default())).is_none());
    }

    #[test]
    fn an_incomplete_range_is_left_out() {
        for range in [None, Some((6, vec![])), Some((5, vec![]))] {
            let mut sources = sources_of_round(&[2], 0);
            sources.round.as_mut().unwrap().range = range;
            let receipt = sources.receipt(Seq(0)).unwrap();
            assert_eq!(receipt.check(), Ok(()));
            assert_eq!(receipt.round.unwrap().range, None);
        }
    }

    #[test]
    fn an_erased_message_has_a_receipt_without_its_payload() {
        let mut sources = sources(&[2, 2], 1);
        let (records, _) = erase_payloads(Seq(2), &sources.segment.1, |seq, _| seq == Seq(3)).unwrap();
        sources.segment.1 = records;
        for (seq, is_erased) in [(2, false), (3, true)] {
            let receipt = sources.receipt(Seq(seq)).unwrap();
            assert_eq!(receipt.check(), Ok(()), "seq {seq}");
            assert_eq!(receipt.message.erased.is_some(), is_erased);
            assert_eq!(receipt.message.payload.is_empty(), is_erased);
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

    /// One segment: a message of somebody else, then a signed group of three.
    fn signed_sources() -> (Sources, PublicKey) {
        let signing = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let point = signing.verifying_key().to_encoded_point(true);
        let key = PublicKey::from_bytes(point.as_bytes().try_into().unwrap()).unwrap();
        let mut sources = sources(&[4], 0);
        let mut records = streamchain_protocol::wire::decode_records(&sources.segment.1).unwrap();
        for (number, record) in (0..).zip(&mut records[1..]) {
            (record.author, record.producer_seq) = (author_of(&key).unwrap(), number);
        }
        let hashes: Vec<B256> = records[1..]
            .iter()
            .map(|one| alloy_primitives::keccak256(&one.payload))
            .collect();
        let signed = GroupDigest {
            stream: sources.stream.0,
            author: records[1].author,
            producer: records[1].producer,
            first: 0,
            count: 3,
            previous: B256::ZERO,
            root: group_root(0, &hashes),
        };
        let signature: p256::ecdsa::Signature =
            p256::ecdsa::signature::Signer::sign(&signing, &signed.preimage());
        records[1].group = Some(GroupHeader {
            count: 3,
            previous: B256::ZERO,
            key,
            signature: Signature(signature.to_bytes().into()),
        });
        let blob = encode_records(&records);
        let root = Tree::new(&leaves(sources.stream.0, Seq(0), &blob).unwrap())
            .unwrap()
            .root();
        sources.segment.1 = blob;
        sources.covered = vec![(Seq(0), root)];
        sources.anchor.root = root;
        (sources, key)
    }

    #[test]
    fn a_signed_message_has_its_authors_part() {
        let (mut sources, key) = signed_sources();
        assert_eq!(sources.signer(Seq(0)), None);
        assert_eq!(sources.receipt(Seq(0)).unwrap().author, None);
        let (erased, _) = erase_payloads(Seq(0), &sources.segment.1, |seq, _| seq == Seq(2)).unwrap();
        sources.segment.1 = erased;
        for seq in 1..4 {
            let signer = sources.signer(Seq(seq)).unwrap();
            assert_eq!((signer.key, signer.author), (key, author_of(&key).unwrap()));
            assert_eq!(
                sources.receipt(Seq(seq)).unwrap().author,
                None,
                "nobody vouches yet"
            );
            let certified = Sources {
                certificate: Some(Certificate::Own {}),
                ..sources.clone()
            };
            let receipt = certified.receipt(Seq(seq)).unwrap();
            assert_eq!(receipt.check(), Ok(()), "seq {seq}");
            let part = receipt.author.as_ref().unwrap();
            assert_eq!(
                (part.producer_seq, part.group.first, part.group.count),
                (seq - 1, 0, 3)
            );
            assert!(
                streamchain_chain::authors::check_author(&receipt)
                    .unwrap()
                    .is_ok(),
                "seq {seq}"
            );
        }
    }
}
