//! Metrics for Prometheus: `GET /metrics` in its text format, version 0.0.4.
//!
//! What always holds: a scrape reads what the shards last reported (a quarter of a second ago at most) and never makes
//! them wait; a client of the metrics port costs a bounded buffer for a bounded time.

use crate::core::Load;
use crate::core::counters::{ErrorCounts, Latencies};
use crate::relay::shard_thread::Report;
use crate::turn::net::TurnReport;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

/// Longest request head that is read, bytes: Prometheus sends a few hundred.
const MAX_REQUEST_BYTES: usize = 8 * 1024;

/// How long one scrape may take.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the figures come from.
pub(crate) struct Sources {
    /// Of every shard.
    pub shards: Vec<watch::Receiver<Report>>,
    /// Of the TURN server, if there is one.
    pub turn: Option<watch::Receiver<TurnReport>>,
}

/// What every error code is called; see docs/PROTOCOL.md.
const ERROR_NAMES: [&str; 11] = [
    "unknown",
    "malformed",
    "too large",
    "not allowed",
    "producer gap",
    "stream moved",
    "going away",
    "session ended",
    "overloaded",
    "unexpected",
    "rate limited",
];

/// Listens where scrapes come.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .with_context(|| format!("--metrics-listen {address}: can't listen there; choose another port"))?;
    listener.set_nonblocking(true)?;
    info!(address = %listener.local_addr()?, "metrics");
    Ok(listener)
}

/// Answers scrapes, one after the other, for as long as the relay runs.
pub(crate) async fn serve(listener: TcpListener, sources: Sources) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "no metrics"),
    };
    loop {
        match listener.accept().await {
            // Who does not ask, or does not read, is left behind.
            Ok((stream, _)) => drop(timeout(SCRAPE_TIMEOUT, answer(stream, &sources)).await),
            Err(error) => {
                warn!(%error, "metrics");
                tokio::time::sleep(SCRAPE_TIMEOUT).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, sources: &Sources) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < MAX_REQUEST_BYTES {
        match stream.read(&mut part).await? {
            0 => return Ok(()),
            length => request.extend_from_slice(&part[..length]),
        }
    }
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (status, kind, body) = match (words.next(), words.next()) {
        (Some(b"GET"), Some(b"/metrics")) => (
            "200 OK",
            "text/plain; version=0.0.4; charset=utf-8",
            sources.text(),
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

/// Text in the exposition format: for each metric what it is, then its values.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        self.0 += &format!("# HELP streamchain_{name} {help}\n# TYPE streamchain_{name} {kind}\n");
    }

    fn value(&mut self, name: &str, labels: &str, value: impl Display) {
        self.0 += &format!("streamchain_{name}{labels} {value}\n");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric(name, "gauge", help);
        self.value(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric(&format!("{name}_total"), "counter", help);
        self.value(&format!("{name}_total"), "", value);
    }

    fn histogram(&mut self, name: &str, help: &str, latencies: &Latencies) {
        self.metric(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for (bound_ms, count) in latencies.cumulative() {
            let bound_s = Duration::from_millis(bound_ms).as_secs_f64();
            self.value(&bucket, &format!("{{le=\"{bound_s}\"}}"), count);
        }
        self.value(&bucket, "{le=\"+Inf\"}", latencies.count);
        let sum_s = Duration::from_micros(latencies.sum_us).as_secs_f64();
        self.value(&format!("{name}_sum"), "", sum_s);
        self.value(&format!("{name}_count"), "", latencies.count);
    }
}

impl Sources {
    /// All figures, those of the shards added up.
    pub(crate) fn text(&self) -> String {
        let mut load = Load::default();
        let mut counters: BTreeMap<&str, u64> = BTreeMap::new();
        let (mut errors, mut commits) = (ErrorCounts::default(), Latencies::default());
        let mut tcp_connections = 0;
        for shard in &self.shards {
            let report = shard.borrow();
            load.sessions += report.load.sessions;
            load.streams += report.load.streams;
            load.uncommitted += report.load.uncommitted;
            load.uncommitted_bytes += report.load.uncommitted_bytes;
            for (name, count) in report.counters.list() {
                *counters.entry(name).or_default() += count;
            }
            errors = errors.plus(&report.errors);
            commits = commits.plus(&report.commits);
            tcp_connections += report.tcp_connections;
        }
        let mut out = Exposition::default();
        out.gauge("sessions", "Sessions that there are.", load.sessions);
        out.gauge("streams", "Streams that there are.", load.streams);
        out.gauge(
            "backlog_messages",
            "Messages that are accepted and not stored yet.",
            load.uncommitted,
        );
        out.gauge(
            "backlog_bytes",
            "Payload bytes that are accepted and not stored yet.",
            load.uncommitted_bytes,
        );
        out.gauge(
            "ice_tcp_connections",
            "TCP connections of clients that let no UDP through.",
            tcp_connections,
        );
        for (name, count) in &counters {
            out.counter(
                name,
                &format!("{} since the start.", name.replace('_', " ")),
                count,
            );
        }
        out.metric(
            "errors_total",
            "counter",
            "Errors that clients were told, by their code.",
        );
        for (code, count) in errors.list() {
            let name = ERROR_NAMES.get(code).copied().unwrap_or("unknown");
            out.value(
                "errors_total",
                &format!("{{code=\"{code}\",name=\"{name}\"}}"),
                count,
            );
        }
        out.histogram(
            "commit_seconds",
            "From when a batch was closed until the edge had stored it.",
            &commits,
        );
        if let Some(turn) = &self.turn {
            turn_metrics(&mut out, &turn.borrow());
        }
        out.0
    }
}

fn turn_metrics(out: &mut Exposition, turn: &TurnReport) {
    out.gauge(
        "turn_allocations",
        "TURN allocations that there are.",
        turn.allocations,
    );
    out.gauge(
        "turn_connections",
        "TCP and TLS connections to the TURN server.",
        turn.connections,
    );
    let counters = [
        (
            "turn_allocations_made",
            "TURN allocations made.",
            turn.counts.allocations,
        ),
        (
            "turn_requests_refused",
            "TURN requests refused.",
            turn.counts.refused,
        ),
        (
            "turn_packets_dropped",
            "Packets that the TURN server dropped.",
            turn.counts.dropped,
        ),
        (
            "turn_packets_relayed",
            "Packets that the TURN server passed on.",
            turn.counts.relayed,
        ),
        (
            "turn_connections_refused",
            "Connections that the TURN server refused.",
            turn.connections_refused,
        ),
    ];
    for (name, help, count) in counters {
        out.counter(name, help, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::wire::frame::ErrorCode;

    fn report() -> Report {
        let mut report = Report::default();
        report.load.sessions = 3;
        report.counters.messages_accepted = 7;
        report.errors.count(ErrorCode::RateLimited);
        report.commits.observe(Duration::from_millis(20));
        report
    }

    fn sources(shards: usize, turn: bool) -> Sources {
        let shards = (0..shards).map(|_| watch::channel(report()).1).collect();
        let turn = turn.then(|| watch::channel(TurnReport::default()).1);
        Sources { shards, turn }
    }

    #[test]
    fn shards_are_added_up() {
        let text = sources(2, false).text();
        for line in [
            "streamchain_sessions 6",
            "streamchain_messages_accepted_total 14",
            "streamchain_errors_total{code=\"10\",name=\"rate limited\"} 2",
            "streamchain_commit_seconds_bucket{le=\"0.01\"} 0",
            "streamchain_commit_seconds_bucket{le=\"0.025\"} 2",
            "streamchain_commit_seconds_bucket{le=\"+Inf\"} 2",
            "streamchain_commit_seconds_sum 0.04",
            "streamchain_commit_seconds_count 2",
        ] {
            assert!(text.lines().any(|given| given == line), "{line}\n{text}");
        }
        assert!(!text.contains("turn"), "no TURN server, no figures of one");
    }

    #[test]
    fn every_value_belongs_to_a_metric_that_was_said_before_it_and_once() {
        let text = sources(1, true).text();
        let mut named = Vec::new();
        for line in text.lines() {
            if let Some(name) = line
                .strip_prefix("# TYPE ")
                .and_then(|rest| rest.split(' ').next())
            {
                assert!(!named.contains(&name), "{name} twice");
                named.push(name);
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                let family = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| name.strip_suffix(suffix).filter(|base| named.contains(base)))
                    .unwrap_or(name);
                assert_eq!(named.last(), Some(&family), "{line}");
                assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
            }
        }
        assert!(named.contains(&"streamchain_turn_allocations"));
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
        let server = serve(listener, sources(1, true));
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
