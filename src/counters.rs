//! What this instance of the Worker did since it started: the member `edge` of `GET /v1/status`.
//!
//! What always holds: counting costs no request and no row. The platform runs many instances of a Worker, each with
//! counters of its own; an object counts where it runs.

use serde_json::{Map, Value, json};
use std::cell::RefCell;

#[derive(Default)]
struct Counters {
    /// By path template, then one place for each class of status: 1xx to 5xx.
    requests: Vec<(&'static str, [u64; 5])>,
    object_calls: u64,
    object_rows_written: u64,
    d1: D1Counters,
    deliveries: u64,
    failed_deliveries: u64,
    /// By the rate limit's name.
    limits_hit: Vec<(String, u64)>,
}

/// What the database did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct D1Counters {
    /// Statements that were run.
    pub queries: u64,
    /// Rows that it read for them.
    pub rows_read: u64,
    /// Rows that it wrote for them.
    pub rows_written: u64,
    /// How long they took, milliseconds.
    pub ms: u64,
    /// How many bytes it had after the last of them; 0 when it did not say.
    pub size: u64,
}

thread_local! {
    static COUNTERS: RefCell<Counters> = RefCell::default();
}

/// Counts a request to the API that was answered with `status`.
pub(crate) fn count_request(path: &'static str, status: u16) {
    COUNTERS.with_borrow_mut(|counters| {
        let requests = &mut counters.requests;
        let place = requests.iter().position(|(known, _)| *known == path);
        let place = place.unwrap_or_else(|| {
            requests.push((path, [0; 5]));
            requests.len() - 1
        });
        let class = usize::from(status / 100).checked_sub(1);
        if let Some(((_, classes), class)) = requests.get_mut(place).zip(class)
            && let Some(count) = classes.get_mut(class)
        {
            *count += 1;
        }
    });
}

/// Counts a call to an object.
pub(crate) fn count_object_call() {
    COUNTERS.with_borrow_mut(|counters| counters.object_calls += 1);
}

/// Counts rows that an object wrote to its SQLite. An alarm that is set or deleted is paid for as a row.
pub(crate) fn count_object_rows(written: u64) {
    COUNTERS.with_borrow_mut(|counters| counters.object_rows_written += written);
}

/// Counts a request that was refused for a rate limit. There are as many names as limits.
pub(crate) fn count_limit_hit(limit: &str) {
    COUNTERS.with_borrow_mut(|counters| {
        match counters.limits_hit.iter_mut().find(|(known, _)| known == limit) {
            Some((_, count)) => *count += 1,
            None => counters.limits_hit.push((limit.to_owned(), 1)),
        }
    });
}

/// Counts a delivery of a webhook, which its receiver took or not.
pub(crate) fn count_delivery(is_taken: bool) {
    COUNTERS.with_borrow_mut(|counters| match is_taken {
        true => counters.deliveries += 1,
        false => counters.failed_deliveries += 1,
    });
}

/// Counts statements of the database.
pub(crate) fn count_d1(done: D1Counters) {
    COUNTERS.with_borrow_mut(|counters| {
        let d1 = &mut counters.d1;
        d1.queries += done.queries;
        d1.rows_read += done.rows_read;
        d1.rows_written += done.rows_written;
        d1.ms += done.ms;
        if done.size > 0 {
            d1.size = done.size;
        }
    });
}

/// How many bytes the database had when it last answered this instance; 0 when it never said.
pub(crate) fn d1_size() -> u64 {
    COUNTERS.with_borrow(|counters| counters.d1.size)
}

/// All of it as JSON.
pub(crate) fn to_json() -> Value {
    COUNTERS.with_borrow(|counters| {
        let mut requests = Map::new();
        for (path, classes) in &counters.requests {
            let mut of_path = Map::new();
            for (class, count) in (1..).zip(classes).filter(|(_, count)| **count > 0) {
                of_path.insert(format!("{class}xx"), json!(count));
            }
            requests.insert((*path).to_owned(), Value::Object(of_path));
        }
        let d1 = counters.d1;
        let hits = counters.limits_hit.iter().map(|(limit, count)| (limit.clone(), json!(count)));
        let limits_hit: Map<String, Value> = hits.collect();
        json!({
            "requests": requests,
            "objectCalls": counters.object_calls,
            "objectRowsWritten": counters.object_rows_written,
            "limitsHit": limits_hit,
            "webhooks": {"delivered": counters.deliveries, "failed": counters.failed_deliveries},
            "d1": {"queries": d1.queries, "rowsRead": d1.rows_read, "rowsWritten": d1.rows_written, "ms": d1.ms},
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_path_and_class_of_status() {
        for status in [200, 204, 404, 0, 999] {
            count_request("/v1/x", status);
        }
        count_limit_hit("requests");
        count_limit_hit("requests");
        count_d1(D1Counters {
            queries: 2,
            ms: 3,
            ..D1Counters::default()
        });
        let all = to_json();
        assert_eq!(all["requests"]["/v1/x"], json!({"2xx": 2, "4xx": 1}));
        assert_eq!(all["d1"]["queries"], 2);
        assert_eq!(all["limitsHit"], json!({"requests": 2}));
    }
}
