//! The metrics themselves: gathered from all threads at each scrape, and encoded by `prometheus-client`.
//!
//! What always holds: names, labels and buckets are those that dashboards know; a test compares them with a text that
//! was written down.

use crate::core::Load;
use crate::core::counters::{ErrorCounts, Latencies};
use crate::relay::edge_status::EdgeStatus;
use crate::relay::links::LinkStatus;
use crate::relay::shard_thread::Report;
use crate::turn::net::TurnReport;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

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

#[derive(Debug)]
pub(crate) struct Sources {
    pub shards: Vec<watch::Receiver<Report>>,
    /// The reports of the TURN server, if there is one.
    pub turn: Option<watch::Receiver<TurnReport>>,
    pub edge: Arc<EdgeStatus>,
    /// Links to other relays, if there are any.
    pub links: Option<Arc<LinkStatus>>,
}

impl Sources {
    /// A registry whose only collector this is.
    pub(super) fn registry(self) -> Registry {
        let mut registry = Registry::with_prefix("streamchain");
        registry.register_collector(Box::new(self));
        registry
    }
}

/// The reports of all shards, added up.
#[derive(Default)]
struct Sum {
    load: Load,
    counters: BTreeMap<&'static str, u64>,
    errors: ErrorCounts,
    commits: Latencies,
    tcp_connections: u64,
}

impl Sum {
    fn of(shards: &[watch::Receiver<Report>]) -> Self {
        let mut sum = Self::default();
        for shard in shards {
            let report = shard.borrow();
            sum.load.connections += report.load.connections;
            sum.load.sessions += report.load.sessions;
            sum.load.streams += report.load.streams;
            sum.load.uncommitted += report.load.uncommitted;
            sum.load.uncommitted_bytes += report.load.uncommitted_bytes;
            sum.load.link_lag = sum.load.link_lag.max(report.load.link_lag);
            for (name, count) in report.counters.list() {
                *sum.counters.entry(name).or_default() += count;
            }
            sum.errors = sum.errors.plus(&report.errors);
            sum.commits = sum.commits.plus(&report.commits);
            sum.tcp_connections += report.tcp_connections;
        }
        sum
    }
}

impl Collector for Sources {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), Error> {
        let mut out = Metrics(encoder);
        let sum = Sum::of(&self.shards);
        let connections = "Peer connections that are open; each has one session or several.";
        out.gauge("connections", connections, sum.load.connections)?;
        out.gauge("sessions", "Sessions that are open.", sum.load.sessions)?;
        out.gauge("streams", "Streams that this relay has.", sum.load.streams)?;
        out.gauge(
            "backlog_messages",
            "Messages that are accepted and not committed yet.",
            sum.load.uncommitted,
        )?;
        out.gauge(
            "backlog_bytes",
            "Payload bytes that are accepted and not committed yet.",
            sum.load.uncommitted_bytes,
        )?;
        out.gauge(
            "ice_tcp_connections",
            "TCP connections of clients whose network lets no UDP through.",
            sum.tcp_connections,
        )?;
        for (name, count) in &sum.counters {
            let help = format!("{} since the start.", name.replace('_', " "));
            out.counter(name, &help, *count)?;
        }
        out.errors(&sum.errors)?;
        out.histogram(
            "commit_seconds",
            "Time from when a batch was closed until the edge had committed it.",
            &sum.commits,
        )?;
        out.edge(&self.edge)?;
        if let Some(links) = &self.links {
            out.links(links, sum.load.link_lag)?;
        }
        self.turn.as_ref().map_or(Ok(()), |turn| out.turn(&turn.borrow()))
    }
}

/// Writes metrics, each with what it is and its values.
struct Metrics<'a>(DescriptorEncoder<'a>);

impl Metrics<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(encoder)
    }

    fn histogram(&mut self, name: &str, help: &str, latencies: &Latencies) -> Result<(), Error> {
        let seconds = |(bound_ms, count)| (Duration::from_millis(bound_ms).as_secs_f64(), count);
        let buckets: Vec<(f64, u64)> = latencies.buckets().map(seconds).collect();
        let sum_s = Duration::from_micros(latencies.sum_us).as_secs_f64();
        self.0
            .encode_descriptor(name, help, None, MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(sum_s, latencies.count, &buckets, None)
    }

    fn errors(&mut self, errors: &ErrorCounts) -> Result<(), Error> {
        let help = "Errors sent to clients, by their code.";
        let mut encoder = self
            .0
            .encode_descriptor("errors", help, None, MetricType::Counter)?;
        for (code, count) in errors.list() {
            let name = ERROR_NAMES.get(code).copied().unwrap_or("unknown");
            let labels = [("code", code.to_string()), ("name", name.to_owned())];
            ConstCounter::new(count).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn edge(&mut self, edge: &EdgeStatus) -> Result<(), Error> {
        self.gauge(
            "registered",
            "Whether the edge took the last registration: 1 or 0.",
            u64::from(edge.is_registered()),
        )?;
        let help = "Requests to the edge, by how they ended.";
        let mut encoder = self
            .0
            .encode_descriptor("edge_requests", help, None, MetricType::Counter)?;
        for (outcome, count) in edge.outcomes() {
            ConstCounter::new(count).encode(encoder.encode_family(&[("outcome", outcome)])?)?;
        }
        Ok(())
    }

    fn links(&mut self, links: &LinkStatus, lag: u64) -> Result<(), Error> {
        for (name, help, value) in links.gauges() {
            self.gauge(name, help, value)?;
        }
        self.gauge(
            "link_lag_messages",
            "Messages that the follower which is furthest behind was not sent yet.",
            lag,
        )?;
        for (name, help, value) in links.counters() {
            self.counter(name, help, value)?;
        }
        self.histogram(
            "link_delay_seconds",
            "Time from when a leader gave a message its seq until it came over the link, by the clocks of both.",
            &links.delays(),
        )
    }

    fn turn(&mut self, turn: &TurnReport) -> Result<(), Error> {
        self.gauge(
            "turn_allocations",
            "TURN allocations that there are.",
            turn.allocations as u64,
        )?;
        self.gauge(
            "turn_connections",
            "TCP and TLS connections to the TURN server.",
            turn.connections as u64,
        )?;
        let counts = &turn.counts;
        self.counter(
            "turn_allocations_made",
            "TURN allocations made.",
            counts.allocations,
        )?;
        self.counter("turn_requests_refused", "TURN requests refused.", counts.refused)?;
        self.counter(
            "turn_packets_dropped",
            "Packets that the TURN server dropped.",
            counts.dropped,
        )?;
        self.counter(
            "turn_packets_relayed",
            "Packets that the TURN server passed on.",
            counts.relayed,
        )?;
        self.counter(
            "turn_connections_refused",
            "Connections that the TURN server refused.",
            turn.connections_refused,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::prometheus_text::encode;
    use streamchain_protocol::wire::frame::ErrorCode;

    impl Sources {
        fn text(self) -> String {
            let mut text = String::new();
            encode(&mut text, &self.registry()).unwrap();
            text
        }
    }

    fn report() -> Report {
        let mut report = Report::default();
        report.load.sessions = 3;
        report.counters.messages_accepted = 7;
        report.errors.count(ErrorCode::RateLimited);
        report.commits.observe(Duration::from_millis(20));
        report
    }

    fn sources(shards: usize, turn_and_links: bool) -> Sources {
        let shards = (0..shards).map(|_| watch::channel(report()).1).collect();
        let turn = turn_and_links.then(|| watch::channel(TurnReport::default()).1);
        Sources {
            shards,
            turn,
            edge: Arc::default(),
            links: turn_and_links.then(Arc::default),
        }
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
        assert!(
            !text.contains("link_bytes"),
            "no links to other relays, no figures of them"
        );
    }

    #[test]
    fn every_value_follows_the_one_description_of_its_metric() {
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

    #[test]
    fn names_labels_and_values_are_those_written_down() {
        let text = sources(2, true).text();
        let said: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
        let expected: Vec<&str> = include_str!("expected.txt").lines().collect();
        assert_eq!(said, expected);
    }
}
