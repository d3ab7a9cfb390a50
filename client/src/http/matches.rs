//! The streams whose names match a pattern.

use super::edge_client::{EdgeClient, Method, unreadable};
use crate::core::Failure;
use reqwest::Url;
use serde::Deserialize;
use streamchain_protocol::Address;
use streamchain_protocol::ids::{StreamId, StreamName};
use streamchain_protocol::pattern::Pattern;

/// A stream as the edge lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedStream {
    /// Its id.
    pub id: StreamId,
    /// Its name.
    pub name: StreamName,
}

/// A page of the streams that match.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MatchPage {
    /// The streams: first those that were there when the list began, and then those made since.
    pub streams: Vec<ListedStream>,
    /// What the next page is asked for with.
    pub after: String,
    /// Whether there are more of those that were there when the list began.
    #[serde(default)]
    pub more: bool,
}

impl EdgeClient {
    /// Lists the streams of `owner` (the operator's without one) that match, behind the page that said `after`. Where there is
    /// nothing new the edge waits for it up to `wait_s` seconds.
    pub async fn matches(
        &self,
        pattern: &Pattern,
        owner: Option<Address>,
        after: Option<&str>,
        wait_s: u64,
    ) -> Result<MatchPage, Failure> {
        let path = path(pattern, owner, after, wait_s)?;
        self.json(Method::GET, &path, None).await
    }
}

/// The path and query of a page.
fn path(
    pattern: &Pattern,
    owner: Option<Address>,
    after: Option<&str>,
    wait_s: u64,
) -> Result<String, Failure> {
    // The host is none that is asked: only the query is taken of the URL, whose values the edge gave in part.
    let mut url = Url::parse("http://edge/v1/streams").map_err(|error| unreadable(&error))?;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("match", &pattern.to_string());
        if let Some(owner) = owner {
            query.append_pair("owner", &format!("{owner:#x}"));
        }
        if let Some(after) = after {
            query.append_pair("after", after);
        }
        query.append_pair("wait", &wait_s.to_string());
    }
    Ok(format!("{}?{}", url.path(), url.query().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_by_its_query() {
        let pattern: Pattern = "sensors.*".parse().unwrap();
        let first = path(&pattern, None, None, 0).unwrap();
        assert_eq!(first, "/v1/streams?match=sensors.*&wait=0");
        let owner = Some(Address::repeat_byte(0xAB));
        let next = path(&pattern, owner, Some("7-a&wait=9#"), 8).unwrap();
        let owner = "0xabababababababababababababababababababab";
        assert_eq!(
            next,
            format!("/v1/streams?match=sensors.*&owner={owner}&after=7-a%26wait%3D9%23&wait=8"),
            "what the edge gave stays one value"
        );
    }

    #[test]
    fn a_page_is_read_with_what_later_versions_add() {
        let id = format!("0x{}", "ab".repeat(32));
        let text =
            format!(r#"{{"streams":[{{"id":"{id}","name":"sensors.a","new":1}}],"after":"3","new":[]}}"#);
        let page: MatchPage = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (page.streams.len(), page.after.as_str(), page.more),
            (1, "3", false)
        );
        assert!(
            serde_json::from_str::<MatchPage>(r#"{"streams":[]}"#).is_err(),
            "an edge that knows no patterns"
        );
    }
}
