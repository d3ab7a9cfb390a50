use super::*;
use streamchain_protocol::keccak256;

const STREAM: StreamId = StreamId([7; 32]);

fn message(seq: u64) -> Message {
    Message {
        seq: Seq(seq),
        time: 1_700_000_000_000 + seq,
        author: Address::repeat_byte(0xaa),
        payload_hash: keccak256(format!("message {seq}")),
        payload_bytes: 0,
        is_erased: false,
        group: None,
    }
}

fn leaf(message: &Message) -> B256 {
    let (time, author) = (message.time, message.author);
    let payload_hash = message.payload_hash;
    let (stream, seq) = (STREAM, message.seq);
    LeafFields {
        stream,
        seq,
        time: streamchain_protocol::time::UnixMs(time),
        author,
        payload_hash,
    }
    .leaf()
}

/// A stream: its messages, segments and anchors, each of which a test may spoil.
#[derive(Clone)]
struct Scene {
    messages: Vec<Message>,
    segments: Vec<Segment>,
    anchors: Vec<Anchor>,
}

impl Scene {
    /// Segments of these sizes; anchors over so many of them each; the rest waits.
    fn new(segments: &[u64], anchors: &[usize], loose: u64) -> Self {
        let mut scene = Self {
            messages: Vec::new(),
            segments: Vec::new(),
            anchors: Vec::new(),
        };
        let mut first = 0;
        for count in segments {
            let messages: Vec<Message> = (first..first + count).map(message).collect();
            let leaves: Vec<B256> = messages.iter().map(leaf).collect();
            let root = merkle::root(&leaves).unwrap();
            scene.segments.push(Segment {
                first: Seq(first),
                count: *count,
                root,
            });
            scene.messages.extend(messages);
            first += count;
        }
        scene.messages.extend((first..first + loose).map(message));
        let mut left = scene.segments.clone();
        for (index, segments) in anchors.iter().enumerate() {
            let under: Vec<Segment> = left.drain(..segments).collect();
            let roots: Vec<B256> = under.iter().map(|segment| segment.root).collect();
            scene.anchors.push(Anchor {
                first: under[0].first,
                count: under.iter().map(|segment| segment.count).sum(),
                root: merkle::root(&roots).unwrap(),
                block: 10 + index as u64,
                block_hash: B256::repeat_byte(index as u8),
                log_index: 0,
                is_final: index == 0,
                round: None,
            });
        }
        scene
    }

    fn verify(&self) -> Result<Summary, Difference> {
        self.verify_to(Seq(self.messages.len() as u64))
    }

    fn verify_to(&self, head: Seq) -> Result<Summary, Difference> {
        let mut ledger = Ledger::new(STREAM, self.anchors.clone())?;
        let mut messages = self.messages.iter();
        for segment in &self.segments {
            ledger.begin(*segment)?;
            while ledger.is_open() {
                let Some(message) = messages.next() else {
                    return Err(ledger.ended());
                };
                ledger.take(message)?;
            }
        }
        messages.try_for_each(|message| ledger.take(message))?;
        ledger.finish(head)
    }

    fn difference(&self) -> Difference {
        self.verify().expect_err("the ledger did not see the difference")
    }
}

/// Ten messages in four segments; two anchors over the first three; three more messages in no segment.
fn scene() -> Scene {
    Scene::new(&[3, 1, 4, 2], &[2, 1], 3)
}

#[test]
fn a_stream_that_nobody_touched_agrees_and_its_tail_is_counted() {
    let summary = scene().verify().unwrap();
    let expected = Summary {
        messages: 13,
        segments: 4,
        anchors: 2,
        final_anchors: 1,
        in_rounds: 0,
        anchored: 8,
        erased: 0,
        signed: Signed::default(),
    };
    assert_eq!((summary, summary.waiting()), (expected, 5));
}

#[test]
fn an_empty_stream_agrees() {
    assert_eq!(Scene::new(&[], &[], 0).verify().unwrap().messages, 0);
    assert_eq!(Scene::new(&[], &[], 2).verify().unwrap().waiting(), 2);
}

#[test]
fn any_change_of_a_message_is_seen_at_its_segment() {
    let changes: [fn(&mut Message); 4] = [
        |message| message.payload_hash = keccak256("Message 5"),
        |message| message.payload_hash = keccak256("message 50"),
        |message| message.time += 1,
        |message| message.author = Address::ZERO,
    ];
    for change in changes {
        let mut scene = scene();
        change(&mut scene.messages[5]);
        let difference = scene.difference();
        assert!(
            matches!(difference, Difference::SegmentRoot { first, .. } if first == Seq(4)),
            "{difference}"
        );
    }
}

#[test]
fn erased_messages_are_counted_and_a_wrong_hash_is_seen() {
    let mut scene = scene();
    scene.messages[5].is_erased = true;
    assert_eq!(scene.verify().unwrap().erased, 1);
    scene.messages[5].payload_hash = B256::ZERO;
    assert!(matches!(scene.difference(), Difference::SegmentRoot { .. }));
}

#[test]
fn a_message_changed_with_its_segment_is_seen_at_its_anchor() {
    let mut forged = scene();
    forged.messages[5].payload_hash = keccak256("forged");
    let leaves: Vec<B256> = forged.messages[4..8].iter().map(leaf).collect();
    forged.segments[2].root = merkle::root(&leaves).unwrap();
    let difference = forged.difference();
    assert!(
        matches!(difference, Difference::AnchorRoot { ref anchor, .. } if anchor.first == Seq(4)),
        "{difference}"
    );
}

#[test]
fn a_missing_and_a_doubled_message_are_seen_in_their_place() {
    let mut missing = scene();
    missing.messages.remove(5);
    let (seq, due) = (Seq(6), Seq(5));
    assert_eq!(missing.difference(), Difference::MessagePlace { seq, due });
    let mut doubled = scene();
    doubled.messages.insert(5, message(4));
    let (seq, due) = (Seq(4), Seq(5));
    assert_eq!(doubled.difference(), Difference::MessagePlace { seq, due });
    let mut in_tail = scene();
    in_tail.messages.remove(11);
    let (seq, due) = (Seq(12), Seq(11));
    assert_eq!(in_tail.difference(), Difference::MessagePlace { seq, due });
}

#[test]
fn two_messages_that_changed_places_are_seen() {
    let mut scene = scene();
    scene.messages.swap(5, 6);
    let (seq, due) = (Seq(6), Seq(5));
    assert_eq!(scene.difference(), Difference::MessagePlace { seq, due });
}

#[test]
fn messages_that_end_too_early_are_seen() {
    let mut cut = scene();
    cut.messages.truncate(9);
    let (stored, needed) = (Seq(9), Seq(10));
    assert_eq!(cut.difference(), Difference::MessagesMissing { stored, needed });
    // The edge says 13 itself, and gives 12.
    let mut short = scene();
    short.messages.truncate(12);
    let (stored, needed) = (Seq(12), Seq(13));
    assert_eq!(
        short.verify_to(Seq(13)),
        Err(Difference::MessagesMissing { stored, needed })
    );
    // Everything behind the first anchor is gone, and the edge says so little itself.
    let mut gone = scene();
    gone.messages.truncate(4);
    gone.segments.truncate(2);
    let (stored, needed) = (Seq(4), Seq(8));
    assert_eq!(gone.difference(), Difference::MessagesMissing { stored, needed });
}

#[test]
fn segments_must_touch_hold_something_and_end_where_anchors_end() {
    let mut gap = scene();
    gap.segments.remove(1);
    let (first, due) = (Seq(4), Seq(3));
    assert_eq!(gap.difference(), Difference::SegmentPlace { first, due });
    let mut overlap = scene();
    overlap.segments[1].first = Seq(2);
    let (first, due) = (Seq(2), Seq(3));
    assert_eq!(overlap.difference(), Difference::SegmentPlace { first, due });
    let mut empty = scene();
    empty.segments[1].count = 0;
    assert_eq!(empty.difference(), Difference::SegmentEmpty(Seq(3)));
    let mut across = scene();
    across.segments[1].count = 2;
    let anchor = Box::new(across.anchors[0]);
    let (first, last) = (Seq(3), Seq(4));
    assert_eq!(
        across.difference(),
        Difference::SegmentAcross { first, last, anchor }
    );
    let mut lost = scene();
    lost.segments.truncate(2);
    assert_eq!(lost.difference(), Difference::SegmentsEnd(lost.anchors[1]));
}

#[test]
fn an_anchor_with_another_root_is_seen() {
    for index in [0, 1] {
        let mut scene = scene();
        scene.anchors[index].root = B256::repeat_byte(0xee);
        let expected = scene.anchors[index];
        let difference = scene.difference();
        assert!(
            matches!(difference, Difference::AnchorRoot { ref anchor, .. } if **anchor == expected),
            "{difference}"
        );
    }
}

#[test]
fn anchors_must_begin_at_zero_be_contiguous_and_not_empty() {
    let mut late = scene();
    late.anchors.remove(0);
    let (anchor, due) = (Box::new(late.anchors[0]), Seq(0));
    assert_eq!(late.difference(), Difference::ChainGap { anchor, due });
    let mut gap = scene();
    gap.anchors[1].first = Seq(5);
    let (anchor, due) = (Box::new(gap.anchors[1]), Seq(4));
    assert_eq!(gap.difference(), Difference::ChainGap { anchor, due });
    let mut overlap = scene();
    overlap.anchors[1].first = Seq(3);
    let (anchor, due) = (Box::new(overlap.anchors[1]), Seq(4));
    assert_eq!(overlap.difference(), Difference::ChainOverlap { anchor, due });
    let mut twice = scene();
    twice.anchors.push(twice.anchors[1]);
    assert!(matches!(twice.difference(), Difference::ChainOverlap { .. }));
    let mut empty = scene();
    empty.anchors[1].count = 0;
    assert_eq!(empty.difference(), Difference::ChainEmpty(empty.anchors[1]));
}

#[test]
fn the_edge_may_list_only_what_the_chain_has() {
    let anchors = scene().anchors;
    assert_eq!(claims(&anchors, &anchors, Seq(8)), None);
    assert_eq!(claims(&anchors, &anchors[..1], Seq(4)), None, "it may be late");
    // How sure it is of an anchor may differ for a moment.
    let mut surer = anchors.clone();
    surer[1].is_final = true;
    assert_eq!(claims(&anchors, &surer, Seq(8)), None);
    // The event is missing on the chain.
    let missing = claims(&anchors[..1], &anchors, Seq(4));
    assert_eq!(missing, Some(Difference::NotOnChain(anchors[1])));
    let changes: [fn(&mut Anchor); 6] = [
        |anchor| anchor.first = Seq(5),
        |anchor| anchor.count += 1,
        |anchor| anchor.root = B256::ZERO,
        |anchor| anchor.block += 1,
        |anchor| anchor.block_hash = B256::ZERO,
        |anchor| anchor.log_index += 1,
    ];
    for change in changes {
        let mut claimed = anchors.clone();
        change(&mut claimed[1]);
        let expected = Some(Difference::NotOnChain(claimed[1]));
        assert_eq!(claims(&anchors, &claimed, Seq(8)), expected);
    }
    let (claimed, covered) = (Seq(9), Seq(8));
    let expected = Some(Difference::OverClaimed { claimed, covered });
    assert_eq!(claims(&anchors, &anchors, Seq(9)), expected);
    assert!(claims(&[], &[], Seq(1)).is_some() && claims(&[], &[], Seq(0)).is_none());
}
