//! An HTTP server that answers from a function, for tests in which an edge or a node says what the test wants.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// What a request is answered with.
pub enum Reply {
    Json(Value),
    /// Messages of a stream with this head, as a CBOR sequence.
    Messages(u64, Vec<u8>),
    Missing,
}

impl Reply {
    fn bytes(self) -> Vec<u8> {
        let (status, more, body) = match self {
            Reply::Json(value) => ("200 OK", String::new(), value.to_string().into_bytes()),
            Reply::Messages(head, body) => ("200 OK", format!("\r\nstreamchain-head: {head}"), body),
            Reply::Missing => ("404 Not Found", String::new(), Vec::new()),
        };
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close{more}\r\n\r\n");
        [head.into_bytes(), body].concat()
    }
}

/// Answers requests by their path and body, until the test program ends. Returns the server's URL.
pub fn serve(answer: impl Fn(&str, &Value) -> Reply + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve_one(stream.unwrap(), &answer);
        }
    });
    url
}

fn serve_one(mut stream: TcpStream, answer: &impl Fn(&str, &Value) -> Reply) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")
                        .map(str::to_owned)
                })
                .map_or(0, |value| value.parse::<usize>().unwrap());
            if body.len() >= length {
                let path = head.split(' ').nth(1).unwrap();
                let body = serde_json::from_str(body).unwrap_or(Value::Null);
                stream.write_all(&answer(path, &body).bytes()).unwrap();
                return;
            }
        }
        match stream.read(&mut part).unwrap() {
            0 => return,
            read => request.extend_from_slice(&part[..read]),
        }
    }
}
