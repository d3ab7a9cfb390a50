//! Wallets that keep a node busy, and nodes that are down.

use super::*;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const SLOW: Address = Address::repeat_byte(0x51);
const HASH: B256 = B256::repeat_byte(1);

/// A node that says its chain, and never answers a call; how many calls it was asked for. Other requests end the connection.
fn busy_node() -> (Node, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read(&mut stream);
            match request["method"].as_str() {
                Some("eth_chainId") => {
                    let body = serde_json::json!({ "jsonrpc": "2.0", "id": request["id"], "result": "0x1" });
                    let (body, close) = (body.to_string(), "connection: close");
                    let head = format!(
                        "HTTP/1.1 200 OK\r\n{close}\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    stream.write_all((head + &body).as_bytes()).unwrap();
                }
                Some("eth_call") => {
                    counter.fetch_add(1, Ordering::Relaxed);
                    kept.push(stream);
                }
                _ => {}
            }
        }
    });
    (Node::new(&url).unwrap(), calls)
}

/// The JSON of a request.
fn read(stream: &mut TcpStream) -> Value {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut part).unwrap();
        request.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&request);
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        if let Ok(value) = serde_json::from_str(body) {
            return value;
        }
        assert!(read > 0, "a whole request");
    }
}

/// Wallets that used up the run's patience, so that the test is short.
fn hurried() -> Wallets {
    Wallets {
        patience: Duration::ZERO,
        ..Wallets::new()
    }
}

#[tokio::test]
async fn a_wallet_without_an_answer_is_not_asked_again() {
    let ((node, calls), mut wallets) = (busy_node(), hurried());
    let began = Instant::now();
    for signature in [[1; 65], [2; 65], [3; 65]] {
        let answer = wallets.ask(&node, SLOW, HASH, &signature.into()).await;
        assert!(matches!(answer, Ok(Err(Unvouched::Silent(_)))), "{answer:?}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(began.elapsed() < 5 * HURRIED_TIMEOUT, "{:?}", began.elapsed());
    let other = wallets
        .ask(&node, Address::repeat_byte(9), HASH, &[1; 65].into())
        .await;
    assert!(matches!(other, Ok(Err(Unvouched::Silent(_)))), "{other:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 2, "another wallet is asked");
}

#[tokio::test]
async fn slow_wallets_use_up_the_patience_of_the_run() {
    let (node, _) = busy_node();
    let mut wallets = Wallets {
        patience: HURRIED_TIMEOUT,
        ..Wallets::new()
    };
    let _ = wallets.ask(&node, SLOW, HASH, &[1; 65].into()).await;
    assert_eq!(wallets.patience, Duration::ZERO);
}

#[tokio::test]
async fn a_node_that_is_down_is_not_the_wallets_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = Node::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let began = Instant::now();
    let answer = hurried().ask(&node, SLOW, HASH, &[1; 65].into()).await;
    assert!(answer.unwrap_err().starts_with("eth_call: "));
    assert!(began.elapsed() < TRY_PAUSE, "without patience it is asked once");
}
