use super::*;

#[test]
fn a_tail_has_everything_from_flushed_on_and_nothing_below() {
    let log = acquired();
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 4))).unwrap();
    let (made, blob) = log.next_segment().unwrap().unwrap();
    log.mark_flushed(&made, blob.len()).unwrap();
    log.commit(&relay("a"), &batch(1, 4, records(1, 4, 2))).unwrap();
    log.commit(&relay("a"), &batch(1, 6, records(1, 6, 2))).unwrap();
    let tail = |from| log.tail(&owner(), Seq(from), 1 << 20).unwrap();
    let count = |tail: &Tail| decode_records(&tail.records).unwrap().len();
    assert_eq!(
        (tail(0).first, count(&tail(0)), tail(0).state.flushed),
        (Seq(4), 4, Seq(4))
    );
    assert_eq!(
        (tail(7).first, count(&tail(7))),
        (Seq(6), 2),
        "whole batches: the reader passes over the rest"
    );
    assert_eq!((tail(8).first, count(&tail(8))), (Seq(8), 0));
    assert_eq!(
        count(&log.tail(&owner(), Seq(4), 1).unwrap()),
        2,
        "one batch at least"
    );
}

#[test]
fn a_cursor_is_two_numbers_and_a_hyphen() {
    let cursor = Cursor {
        event: 7,
        seq: Seq(90),
    };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    for wrong in [
        "",
        "7",
        "7-",
        "-7",
        "7-9-1",
        "+7-9",
        "7-99999999999999999999",
        "a-b",
    ] {
        assert_eq!(wrong.parse::<Cursor>(), Err(BadCursor), "{wrong}");
    }
}
