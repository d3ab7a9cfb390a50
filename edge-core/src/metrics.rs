//! The deployment's status as Prometheus reads it (text format 0.0.4).
//!
//! What always holds: every metric is in the table [`METRICS`], once, and nothing else is written. A value that the status does not
//! have is left out, so that a part which does not answer is absent, and never 0.

use serde_json::Value;
use std::fmt::Write;

/// What every name begins with.
const PREFIX: &str = "streamchain_edge_";

/// How a metric is read out of the status.
enum Source {
    /// The number, the truth value or the decimal text at a path.
    Number(&'static str),
    /// Thousandths of the number at a path: milliseconds as seconds.
    Thousandths(&'static str),
    /// 1 when there is something at a path that is not null.
    Presence(&'static str),
    /// How many entries the list at a path has.
    Length(&'static str),
    /// The sum of a member of the entries of a list.
    Sum(&'static str, &'static str),
    /// Of each entry of a list: the label, the member that names it, and the member with the number.
    Each(&'static str, &'static str, &'static str, &'static str),
    /// Of each member of an object: the label, and the number.
    Members(&'static str, &'static str),
    /// Requests by path and class of status.
    Requests,
}

use Source::{Each, Length, Members, Number, Presence, Requests, Sum, Thousandths};

/// Of each metric: its name behind the prefix (a counter's ends with `_total`), what it is, where it comes from.
const METRICS: &[(&str, &str, Source)] = &[
    (
        "chain_ok",
        "Whether the last look at the chain went well.",
        Number("/chain/ok"),
    ),
    (
        "chain_head",
        "The newest block, as a node last showed it.",
        Number("/chain/head"),
    ),
    (
        "chain_lag_blocks",
        "Blocks that are not read yet.",
        Number("/chain/lag"),
    ),
    (
        "chain_gaps",
        "Blocks of which events are missing for certain.",
        Length("/chain/gaps"),
    ),
    ("sign_in_ok", "Whether wallets can sign in.", Number("/signIn/ok")),
    (
        "anchorer_balance_wei",
        "Balance of the signing account.",
        Number("/anchorer/balanceWei"),
    ),
    (
        "anchorer_pending_segments",
        "Segments that are not on the chain.",
        Number("/anchorer/pendingSegments"),
    ),
    (
        "anchorer_unsettled_segments",
        "Segments that are not final.",
        Number("/anchorer/heldSegments"),
    ),
    (
        "anchorer_blocked_streams",
        "Streams that cannot be anchored.",
        Length("/anchorer/blockedStreams"),
    ),
    (
        "anchorer_failing",
        "Whether the last step of the Anchorer failed.",
        Presence("/anchorer/lastError"),
    ),
    (
        "anchorer_in_flight",
        "Whether a transaction is under way.",
        Presence("/anchorer/inFlight"),
    ),
    (
        "gas_budget",
        "Gas that a UTC day's transactions may use.",
        Number("/anchorer/gasBudget/daily"),
    ),
    (
        "gas_used",
        "Gas that was used or set aside since the UTC day began.",
        Number("/anchorer/gasBudget/used"),
    ),
    (
        "gas_foreign_used",
        "Gas of that for other owners' streams.",
        Number("/anchorer/gasBudget/foreignUsed"),
    ),
    (
        "gas_waiting",
        "Whether anchoring waits for the next day.",
        Number("/anchorer/gasBudget/waiting"),
    ),
    (
        "rounds_anchored",
        "Rounds on the chain.",
        Number("/rounds/anchored"),
    ),
    (
        "rounds_final",
        "Rounds in finalized blocks.",
        Number("/rounds/final"),
    ),
    (
        "rounds_pending_runs",
        "Runs that wait for a round.",
        Sum("/rounds/batchers", "pending"),
    ),
    ("streams", "Streams that were made.", Number("/streams")),
    ("webhooks", "Webhooks that there are.", Number("/webhooks")),
    (
        "relay_alive",
        "Whether a relay renewed its lease.",
        Each("/relays", "relay", "id", "alive"),
    ),
    (
        "relay_sessions",
        "Sessions of a relay.",
        Each("/relays", "relay", "id", "sessions"),
    ),
    (
        "relay_streams",
        "Streams of a relay.",
        Each("/relays", "relay", "id", "streams"),
    ),
    (
        "database_bytes",
        "Bytes in the database.",
        Number("/storage/database/bytes"),
    ),
    (
        "database_capacity_bytes",
        "Bytes that the database takes.",
        Number("/storage/database/capacity"),
    ),
    (
        "archive_packs",
        "Packs in the archive.",
        Number("/storage/archive/packs"),
    ),
    (
        "archive_messages",
        "Messages in the archive.",
        Number("/storage/archive/messages"),
    ),
    (
        "archive_bytes",
        "Bytes in the archive.",
        Number("/storage/archive/bytes"),
    ),
    (
        "archive_failing",
        "Whether the archive's last step failed.",
        Presence("/storage/archive/error"),
    ),
    (
        "http_requests_total",
        "Requests that this instance answered.",
        Requests,
    ),
    (
        "limits_hit_total",
        "Requests that this instance refused for a rate limit.",
        Members("/edge/limitsHit", "limit"),
    ),
    (
        "object_calls_total",
        "Calls to objects.",
        Number("/edge/objectCalls"),
    ),
    (
        "object_rows_written_total",
        "Rows that objects wrote.",
        Number("/edge/objectRowsWritten"),
    ),
    (
        "webhook_deliveries_total",
        "Deliveries of webhooks.",
        Members("/edge/webhooks", "outcome"),
    ),
    (
        "d1_queries_total",
        "Statements of the database.",
        Number("/edge/d1/queries"),
    ),
    (
        "d1_rows_read_total",
        "Rows that the database read.",
        Number("/edge/d1/rowsRead"),
    ),
    (
        "d1_rows_written_total",
        "Rows that the database wrote.",
        Number("/edge/d1/rowsWritten"),
    ),
    (
        "d1_seconds_total",
        "Time spent in the database.",
        Thousandths("/edge/d1/ms"),
    ),
];

/// Writes the metrics of a status, as `GET /v1/status` shows it.
pub fn metrics_of(status: &Value) -> String {
    let mut text = String::new();
    for (name, help, source) in METRICS {
        let samples = source.samples(status);
        if samples.is_empty() {
            continue;
        }
        let kind = if name.ends_with("_total") {
            "counter"
        } else {
            "gauge"
        };
        // Writing to a text does not fail.
        let _ = writeln!(text, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{PREFIX}{name}{labels} {value}");
        }
    }
    text
}

impl Source {
    /// The labels and the value of each sample.
    fn samples(&self, status: &Value) -> Vec<(String, String)> {
        let at = |path: &str| status.pointer(path);
        let one = |value: Option<String>| value.map(|value| (String::new(), value)).into_iter().collect();
        let list = |path: &str| at(path).and_then(Value::as_array).cloned();
        match self {
            Number(path) => one(at(path).and_then(number)),
            Thousandths(path) => {
                let ms = at(path).and_then(Value::as_f64);
                one(ms.map(|ms| (ms / 1_000.0).to_string()))
            }
            Presence(path) => {
                // Where the part itself is unknown, so is this.
                let parent = path.rsplit_once('/').and_then(|(parent, _)| at(parent));
                let is_there = at(path).is_some_and(|value| !value.is_null());
                one(parent.map(|_| u8::from(is_there).to_string()))
            }
            Length(path) => one(list(path).map(|list| list.len().to_string())),
            Sum(path, member) => {
                let numbers = |list: Vec<Value>| {
                    list.iter()
                        .filter_map(|entry| entry.get(member)?.as_u64())
                        .sum::<u64>()
                };
                one(list(path).map(|list| numbers(list).to_string()))
            }
            Each(path, label, name, member) => {
                let sample = |entry: &Value| {
                    let name = entry.get(name)?.as_str()?;
                    Some((labels(&[(label, name)]), number(entry.get(member)?)?))
                };
                list(path).unwrap_or_default().iter().filter_map(sample).collect()
            }
            Members(path, label) => {
                let members = at(path).and_then(Value::as_object);
                let sample =
                    |(name, value): (&String, &Value)| Some((labels(&[(label, name)]), number(value)?));
                members.into_iter().flatten().filter_map(sample).collect()
            }
            Requests => requests(status),
        }
    }
}

fn requests(status: &Value) -> Vec<(String, String)> {
    let paths = status.pointer("/edge/requests").and_then(Value::as_object);
    let mut samples = Vec::new();
    for (path, classes) in paths.into_iter().flatten() {
        for (class, count) in classes.as_object().into_iter().flatten() {
            if let Some(count) = number(count) {
                samples.push((labels(&[("path", path), ("class", class)]), count));
            }
        }
    }
    samples
}

/// A number as Prometheus takes it. A text counts where it is a decimal number, as amounts of wei are.
fn number(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(u8::from(*value).to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(text.clone())
        }
        _ => None,
    }
}

fn labels(labels: &[(&str, &str)]) -> String {
    let escaped = |text: &str| {
        text.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    };
    let labels = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    format!("{{{}}}", labels.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn status() -> Value {
        json!({
            "chain": {"ok": true, "head": 9, "lag": 0, "gaps": []},
            "signIn": {"ok": false},
            "anchorer": {"balanceWei": "1000000000000000000000", "pendingSegments": 2, "heldSegments": 3, "blockedStreams": [1],
                "lastError": null, "gasBudget": {"daily": 50, "used": 7, "foreignUsed": 1, "waiting": false}},
            "rounds": {"anchored": 4, "final": 3, "batchers": [{"pending": 2}, {"error": "late"}, {"pending": 5}]},
            "relays": [{"id": "r1", "alive": true, "sessions": 3, "streams": 1}, {"id": "r\"2", "alive": false}],
            "edge": {"requests": {"/v1/x": {"2xx": 5, "4xx": 1}}, "d1": {"ms": 1500}, "webhooks": {"delivered": 2, "failed": 1},
                "limitsHit": {"requests": 1}},
        })
    }

    #[test]
    fn a_status_is_written_as_prometheus_reads_it() {
        let text = metrics_of(&status());
        for line in [
            "streamchain_edge_chain_ok 1",
            "streamchain_edge_sign_in_ok 0",
            "streamchain_edge_anchorer_balance_wei 1000000000000000000000",
            "streamchain_edge_anchorer_failing 0",
            "streamchain_edge_anchorer_in_flight 0",
            "streamchain_edge_rounds_pending_runs 7",
            "streamchain_edge_relay_alive{relay=\"r1\"} 1",
            "streamchain_edge_relay_alive{relay=\"r\\\"2\"} 0",
            "streamchain_edge_http_requests_total{path=\"/v1/x\",class=\"2xx\"} 5",
            "streamchain_edge_limits_hit_total{limit=\"requests\"} 1",
            "streamchain_edge_webhook_deliveries_total{outcome=\"failed\"} 1",
            "streamchain_edge_d1_seconds_total 1.5",
            "# TYPE streamchain_edge_http_requests_total counter",
            "# TYPE streamchain_edge_chain_ok gauge",
        ] {
            assert!(
                text.lines().any(|written| written == line),
                "{line} is not in\n{text}"
            );
        }
        assert!(!text.contains("database_bytes"), "what is not known is left out");
        assert!(
            !metrics_of(&json!({})).contains("failing"),
            "a part that does not answer is not well"
        );
    }

    #[test]
    fn no_metric_is_there_twice_and_every_name_is_in_shape() {
        let names: BTreeSet<&str> = METRICS.iter().map(|(name, ..)| *name).collect();
        assert_eq!(names.len(), METRICS.len());
        let plain = |name: &&str| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        assert!(names.iter().all(plain));
    }
}
