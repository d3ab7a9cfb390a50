//! Metrics for Prometheus: `GET /metrics` in its text format, version 0.0.4. And `GET /health` for container engines: 200 while the
//! relay is registered with its edge, else 503.
//!
//! What always holds: a scrape reads what the shards last reported (a quarter of a second ago at most) and never makes
//! them wait; a client of the metrics port costs a bounded buffer for a bounded time.

mod collector;

pub(crate) use collector::Sources;

use super::edge_status::EdgeStatus;
use anyhow::{Context, Result};
use prometheus_client::encoding::prometheus_text::{CONTENT_TYPE, encode};
use prometheus_client::registry::Registry;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::{info, warn};

/// Longest request head that is read, bytes: Prometheus sends a few hundred.
const MAX_REQUEST_BYTES: usize = 8 * 1024;

/// How long one scrape may take.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(5);

/// Listens for scrapes.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .with_context(|| format!("--metrics-listen {address}: can't listen there; choose another port"))?;
    listener.set_nonblocking(true)?;
    info!(address = %listener.local_addr()?, "metrics");
    Ok(listener)
}

/// Answers scrapes, one after the other, for as long as the relay runs.
pub(crate) async fn serve(listener: TcpListener, sources: Sources) {
    let edge = Arc::clone(&sources.edge);
    let registry = sources.registry();
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "no metrics"),
    };
    loop {
        match listener.accept().await {
            // A client that sends no request, or reads no answer, is dropped after the time-out.
            Ok((stream, _)) => drop(timeout(SCRAPE_TIMEOUT, answer(stream, &registry, &edge)).await),
            Err(error) => {
                warn!(%error, "metrics");
                tokio::time::sleep(SCRAPE_TIMEOUT).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, registry: &Registry, edge: &EdgeStatus) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < MAX_REQUEST_BYTES {
        match stream.read(&mut part).await? {
            0 => return Ok(()),
            length => request.extend_from_slice(part.get(..length).unwrap_or_default()),
        }
    }
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (status, kind, body) = match (words.next(), words.next()) {
        (Some(b"GET"), Some(b"/metrics")) => {
            let mut text = String::new();
            encode(&mut text, registry).map_err(std::io::Error::other)?;
            ("200 OK", CONTENT_TYPE, text)
        }
        (Some(b"GET"), Some(b"/health")) if edge.is_registered() => {
            ("200 OK", "text/plain", "registered with the edge\n".into())
        }
        (Some(b"GET"), Some(b"/health")) => (
            "503 Service Unavailable",
            "text/plain",
            "not registered with the edge\n".into(),
        ),
        (Some(b"GET"), _) => (
            "404 Not Found",
            "text/plain",
            "the metrics are at /metrics\n".into(),
        ),
        _ => ("405 Method Not Allowed", "text/plain", "GET only\n".into()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::shard_thread::Report;
    use tokio::sync::watch;

    fn report() -> Report {
        let mut report = Report::default();
        report.load.sessions = 3;
        report
    }

    fn sources() -> Sources {
        Sources {
            shards: vec![watch::channel(report()).1],
            turn: None,
            edge: Arc::default(),
            links: None,
        }
    }

    #[tokio::test]
    async fn the_health_is_whether_the_relay_is_registered() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let sources = sources();
        let edge = Arc::clone(&sources.edge);
        let server = serve(listener, sources);
        let client = async {
            let request = "GET /health HTTP/1.1\r\n\r\n";
            for (registered, status) in [(false, "503"), (true, "200"), (false, "503")] {
                edge.set_registered(registered);
                let answer = asked(address, request).await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            }
        };
        tokio::select! {
            () = server => unreachable!("it serves on"),
            () = client => {}
        }
    }

    async fn asked(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_scrape_is_answered_and_everything_else_refused() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let server = serve(listener, sources());
        let client = async {
            let scraped = asked(address, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
            assert!(scraped.starts_with("HTTP/1.1 200 OK\r\n"), "{scraped}");
            assert!(scraped.contains("text/plain; version=0.0.4"));
            assert!(scraped.contains("\nstreamchain_sessions 3\n"));
            assert!(
                asked(address, "GET / HTTP/1.1\r\n\r\n")
                    .await
                    .starts_with("HTTP/1.1 404")
            );
            assert!(
                asked(address, "POST /metrics HTTP/1.1\r\n\r\n")
                    .await
                    .starts_with("HTTP/1.1 405")
            );
        };
        tokio::select! {
            () = server => unreachable!("it serves on"),
            () = client => {}
        }
    }
}
