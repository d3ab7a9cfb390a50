//! The check of authors against an edge that says what the operator wants.

use super::*;
use std::io::{Read, Write};
use std::net::TcpListener;
use streamchain_client::core::SignGroups;
use streamchain_client::signing::SigningKey;
use streamchain_protocol::ids::ProducerId;
use streamchain_protocol::signed::GroupHeader;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Omitted;
use streamchain_protocol::wire::cbor::Writer;

const OWNER: Address = Address::repeat_byte(9);
const SERVICE: Address = Address::repeat_byte(7);

fn stream() -> StreamId {
    StreamId::of(OWNER, &"demo".parse().unwrap())
}

/// An edge that answers each path with what `answer` gives. It runs until the test program ends.
fn edge(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> EdgeClient {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut request, mut part) = (Vec::new(), [0; 4_096]);
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                match stream.read(&mut part) {
                    Ok(read) if read > 0 => request.extend_from_slice(&part[..read]),
                    _ => break,
                }
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let body = answer(request.split(' ').nth(1).unwrap_or_default());
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\nstreamchain-next: 9\r\nstreamchain-head: 9\r\n\r\n",
                body.len()
            );
            // A client that went away gets no answer.
            let _ = stream.write_all(&[head.into_bytes(), body].concat());
        }
    });
    EdgeClient::new(&url, None).unwrap()
}

/// An edge that has these messages in history, and says that the operator knows the key of the service.
fn edge_with(history: Vec<(u64, Message)>) -> EdgeClient {
    edge(move |path| match path {
        _ if path.starts_with("/v1/authors/") => {
            format!(r#"{{"kind":"service","account":"{OWNER}","issued":0}}"#).into_bytes()
        }
        _ if path.contains("/messages?") => {
            let mut body = Vec::new();
            for (seq, message) in &history {
                let mut writer = Writer::new(&mut body);
                writer.array(4).uint(*seq).uint(message.time.0);
                writer.bytes(message.author.as_slice()).bytes(&message.payload);
            }
            body
        }
        _ => format!(r#"{{"id":"{}","name":"demo","owner":"{OWNER}"}}"#, stream()).into_bytes(),
    })
}

fn authors(edge: EdgeClient, believed: Believed) -> Authors {
    let reach = ReachArgs {
        http: true,
        patience: 0,
        quiet: true,
    };
    Authors::new((edge, reach), StreamRef::Id(stream()), believed, 1, None)
}

/// The messages of a group that `author` signs, from the seq on that the operator says.
fn group(key: &SigningKey, author: Address, seq: u64, payloads: &[&str]) -> Vec<Message> {
    let hashes: Vec<B256> = payloads.iter().map(keccak256).collect();
    let producer = ProducerId([1; 16]);
    let signed = GroupDigest {
        stream: stream(),
        author,
        producer,
        first: 0,
        count: payloads.len() as u32,
        previous: B256::ZERO,
        root: group_root(0, &hashes),
    };
    let header = GroupHeader {
        count: payloads.len() as u16,
        previous: B256::ZERO,
        key: key.public_key(),
        signature: key.sign(&signed.preimage()).unwrap(),
    };
    let signature = Arc::new(MessageSignature {
        seq: Seq(seq),
        producer,
        producer_seq: 0,
        header,
    });
    let message = |(payload, seq): (&&str, u64)| Message {
        seq: Seq(seq),
        time: UnixMs(5_000),
        author,
        payload: payload.as_bytes().to_vec(),
        erased: None,
        signature: Some(signature.clone()),
    };
    payloads.iter().zip(seq..).map(message).collect()
}

fn guest(seq: u64, payload: &str) -> Message {
    let key = SigningKey::generate().unwrap();
    let author = author_of(&key.public_key()).unwrap();
    group(&key, author, seq, &[payload]).remove(0)
}

/// Takes messages one after the other: the payloads that are shown and who vouches for each, or why the command ends.
async fn shown(authors: &mut Authors, messages: Vec<Message>) -> Result<Vec<(String, Signed)>, String> {
    let mut shown = Vec::new();
    for message in messages {
        for one in authors
            .take(message)
            .await
            .map_err(|exit| exit.text().to_owned())?
        {
            shown.push((
                String::from_utf8_lossy(&one.message.payload).into_owned(),
                one.signed,
            ));
        }
    }
    Ok(shown)
}

#[tokio::test]
async fn the_beginning_of_a_group_hides_behind_no_other_message() {
    let key = SigningKey::generate().unwrap();
    let author = author_of(&key.public_key()).unwrap();
    let members = group(&key, author, 0, &["a", "b", "c"]);
    let history = || (0..).zip(members[..2].iter().cloned()).collect();
    let feed = vec![guest(0, "x"), guest(1, "y"), members[2].clone()];
    let mut reader = authors(edge_with(history()), Believed::default());
    let refused = shown(&mut reader, feed).await.unwrap_err();
    assert!(refused.contains("messages that were read before"), "{refused}");

    let mut reader = authors(edge_with(history()), Believed::default());
    let taken = shown(&mut reader, vec![members[2].clone(), guest(3, "z")])
        .await
        .unwrap();
    let payloads: Vec<_> = taken.iter().map(|(payload, _)| payload.as_str()).collect();
    assert_eq!(
        payloads,
        ["a", "b", "c", "z"],
        "a reader may begin inside a group"
    );
}

#[tokio::test]
async fn the_operators_word_for_a_key_is_no_signature() {
    let key = SigningKey::generate().unwrap();
    let members = group(&key, SERVICE, 0, &["the operator's"]);
    let by = |voucher| Signed::By {
        key: key.public_key(),
        voucher,
    };
    let named = |author| AuthorKey {
        author,
        key: key.public_key(),
    };
    for (believed, expected) in [
        (Believed::default(), None),
        (
            Believed {
                operator: false,
                keys: vec![named(OWNER)],
            },
            None,
        ),
        (
            Believed {
                operator: false,
                keys: vec![named(SERVICE)],
            },
            Some(VouchedBy::Caller),
        ),
        (
            Believed {
                operator: true,
                keys: vec![],
            },
            Some(VouchedBy::Operator),
        ),
    ] {
        let mut reader = authors(edge_with(Vec::new()), believed.clone());
        match (shown(&mut reader, members.clone()).await, expected) {
            (Ok(taken), Some(voucher)) => assert_eq!(taken[0].1, by(voucher)),
            (Err(refused), None) => assert!(refused.contains("the operator alone says"), "{refused}"),
            (other, _) => panic!("{believed:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_erased_has_no_payload_beside_its_hash() {
    let key = SigningKey::generate().unwrap();
    let author = author_of(&key.public_key()).unwrap();
    let mut members = group(&key, author, 0, &["a"]);
    members[0].erased = Some(Omitted {
        size: 1,
        digest: keccak256("a"),
    });
    let mut reader = authors(edge_with(Vec::new()), Believed::default());
    let forged = Message {
        payload: b"the operator's".to_vec(),
        ..members[0].clone()
    };
    let refused = shown(&mut reader, vec![forged]).await.unwrap_err();
    assert!(refused.contains("erased, and has a payload"), "{refused}");
    members[0].payload.clear();
    let taken = shown(&mut reader, members).await.unwrap();
    assert_eq!(taken[0].0, "");
}
