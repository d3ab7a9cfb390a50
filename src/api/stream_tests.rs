use super::*;
use crate::api::call::Requests;
use streamchain_edge_core::stream_log::{Cursor, LogState};

fn state() -> LogState {
    let json = r#"{"id":"0x1111111111111111111111111111111111111111111111111111111111111111",
        "owner":"0x2222222222222222222222222222222222222222","name":"demo","created":1,"listed":true,"epoch":2,
        "holder":null,"assigned":null,"head":9,"flushed":4,"backlog":7,"lastBatch":null,"anchored":3,"finalized":2}"#;
    streamchain_protocol::util::json::from_text(json).unwrap()
}

#[test]
fn news_are_read_back_as_they_were() {
    let event = |number| StoredEvent {
        number,
        name: "chain".into(),
        json: "{\"a\":\"line\\nbreak\"}\n".into(),
    };
    let tail = Tail {
        state: state(),
        first: Seq(4),
        records: vec![0, 10, 13, 255],
    };
    let news = News {
        tail,
        events: vec![event(3), event(4)],
    };
    let read = News::from_bytes(news.clone().into_bytes()).unwrap();
    assert_eq!(read, news);
    let tail = Tail::from_bytes(news.tail.clone().into_bytes()).unwrap();
    assert_eq!(tail, news.tail);
    assert!(!read.is_empty(Cursor {
        event: 4,
        seq: Seq(4)
    }));
}

#[test]
fn a_request_is_found_by_its_name_or_refused() {
    let asked = Commit {
        relay: "r1".parse().unwrap(),
        batch: vec![1, 2],
    };
    let body = asked.into_bytes();
    let read = StreamRequest::read("Commit", None, body);
    assert!(matches!(read, Ok(StreamRequest::Commit(Commit { batch, .. })) if batch == [1, 2]));
    assert!(StreamRequest::read("Else", None, Vec::new()).is_err());
}
