//! The answer of an RPC node, read up to a limit: what a call returns is decided by the contract that is called, which
//! anybody may have deployed.

use reqwest::Response;
use streamchain_chain::ethereum::{Answer, Request, RpcError};

/// Largest answer to a call of a contract, bytes. A wallet answers with one word; the rest is room for the JSON around it, and for
/// a reason in words that a node gives twice.
const MAX_CALL_BYTES: usize = 64 * 1024;
/// Largest answer to another question, bytes: all events of a range of blocks, which is halved when they are more.
const MAX_ANSWER_BYTES: usize = 128 * 1024 * 1024;

/// Returns how many bytes of an answer are read at most.
fn limit(request: &Request) -> usize {
    match request {
        Request::Call { .. } | Request::Run { .. } => MAX_CALL_BYTES,
        _ => MAX_ANSWER_BYTES,
    }
}

/// Reads a node's response to a request; `broken` makes the error of a connection that broke.
pub(crate) async fn read_answer(
    mut response: Response,
    request: &Request,
    broken: impl Fn(reqwest::Error) -> RpcError,
) -> Result<Answer, RpcError> {
    let (status, limit) = (response.status().as_u16(), limit(request));
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(&broken)? {
        if body.len() + part.len() > limit {
            return Err(RpcError::TooLarge(limit));
        }
        body.extend_from_slice(&part);
    }
    request.decode_response(status, &String::from_utf8_lossy(&body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use streamchain_chain::ethereum::BlockId;

    /// Reads the answer of a node that sends so many bytes to a request, without saying how many there are.
    fn answer(bytes: usize, request: &Request) -> Result<Answer, RpcError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let node = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let word = "0".repeat(bytes);
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
            // The reader hangs up in the middle.
            let _ = write!(
                stream,
                "{head}{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x{word}\"}}"
            );
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let answer = runtime.unwrap().block_on(async {
            let response = reqwest::get(url).await.unwrap();
            read_answer(response, request, |error| RpcError::Transport(error.to_string())).await
        });
        node.join().unwrap();
        answer
    }

    #[test]
    fn a_contract_cannot_fill_the_memory() {
        let call = Request::Call {
            to: Default::default(),
            data: Default::default(),
            at: BlockId::Latest,
        };
        assert!(matches!(answer(64, &call), Ok(Answer::Returned(_))));
        assert_eq!(
            answer(4 * MAX_CALL_BYTES, &call),
            Err(RpcError::TooLarge(MAX_CALL_BYTES))
        );
        let other = answer(4 * MAX_CALL_BYTES, &Request::ChainId);
        assert!(!matches!(other, Err(RpcError::TooLarge(_))));
    }
}
