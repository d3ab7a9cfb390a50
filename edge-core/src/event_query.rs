//! What the query of an event stream asks for, in the words of this API and of the EventSource libraries.
//!
//! What always holds: a parameter that would say where the reader goes on is never passed over in silence. A reader
//! whose cursor is not understood would miss messages and not know it.

/// The parameters of the route, written exactly so.
const PARAMETERS: [&str; 6] = ["access_token", "after", "from", "life", "presence", "signatures"];

/// What libraries that can't send `Last-Event-ID` call it in the query, without hyphens, underscores and capitals:
/// `lastEventId` (event-source-polyfill and those after it), `Last-Event-ID`, `evs_last_event_id` (amvtek's).
const CURSORS: [&str; 2] = ["lasteventid", "evslasteventid"];

/// What libraries add that says nothing: against caches, and to have proxies flush (`r`, `_`, `padding`, `evs_preamble`).
const IGNORED: [&str; 4] = ["r", "_", "padding", "evs_preamble"];

/// Most characters of an unknown name that an error shows.
const MAX_SHOWN_CHARS: usize = 40;

/// Why a query is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventQueryError {
    /// The route has no such parameter.
    #[error(
        "{0}: no such parameter: expected after, from, life, presence, signatures, access_token or lastEventId"
    )]
    Unknown(String),
    /// A parameter stands there more than once, with different values.
    #[error("{0}: expected one value")]
    Ambiguous(String),
}

/// Returns the cursor that a request has: the header `Last-Event-ID`, which a browser sends when it comes back by itself;
/// else the newest that a library put into the query; else `after`, with which the page began.
pub fn cursor<'a>(
    header: Option<&'a str>,
    query: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Option<&'a str>, EventQueryError> {
    let (mut of_library, mut after) = (None, None);
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (name, value) in query {
        if IGNORED.contains(&name) {
            continue;
        }
        if CURSORS.contains(&plain(name).as_str()) {
            // Some libraries append it anew each time, and leave it empty before the first event.
            of_library = Some(value).filter(|value| !value.is_empty()).or(of_library);
            continue;
        }
        if !PARAMETERS.contains(&name) {
            return Err(EventQueryError::Unknown(shown(name)));
        }
        if seen
            .iter()
            .any(|(other, given)| *other == name && *given != value)
        {
            return Err(EventQueryError::Ambiguous(shown(name)));
        }
        seen.push((name, value));
        if name == "after" {
            after = Some(value);
        }
    }
    let header = header.filter(|id| !id.is_empty());
    Ok(header.or(of_library).or(after))
}

fn plain(name: &str) -> String {
    let kept = name.chars().filter(|character| !matches!(character, '-' | '_'));
    kept.map(|character| character.to_ascii_lowercase()).collect()
}

fn shown(name: &str) -> String {
    name.chars().take(MAX_SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(
        header: Option<&'a str>,
        query: &[(&'a str, &'a str)],
    ) -> Result<Option<&'a str>, EventQueryError> {
        cursor(header, query.iter().copied())
    }

    #[test]
    fn every_name_of_the_cursor_counts() {
        for name in [
            "after",
            "lastEventId",
            "lastEventID",
            "last-event-id",
            "Last-Event-ID",
            "last_event_id",
            "LAST_EVENT_ID",
            "evs_last_event_id",
        ] {
            assert_eq!(read(None, &[(name, "1-2")]), Ok(Some("1-2")), "{name}");
        }
        assert_eq!(read(Some("1-2"), &[]), Ok(Some("1-2")));
        assert_eq!(read(None, &[]), Ok(None));
    }

    #[test]
    fn the_newest_cursor_counts_before_the_one_of_the_beginning() {
        let query = [("after", "0-0"), ("lastEventId", "1-2")];
        assert_eq!(read(None, &query), Ok(Some("1-2")));
        assert_eq!(read(Some("1-3"), &query), Ok(Some("1-3")));
        assert_eq!(read(Some(""), &query), Ok(Some("1-2")));
        let first = [("after", "0-0"), ("lastEventId", "")];
        assert_eq!(read(None, &first), Ok(Some("0-0")), "an empty one is none");
        let again = [
            ("lastEventId", "1-2"),
            ("lastEventId", "1-3"),
            ("lastEventId", ""),
        ];
        assert_eq!(read(None, &again), Ok(Some("1-3")), "appended each time");
    }

    #[test]
    fn what_the_route_does_not_know_is_refused_by_name() {
        for name in [
            "since",
            "After",
            "last",
            "cursor",
            "limit",
            "fromSeq",
            "last-event",
            "",
        ] {
            let refused = read(None, &[("life", "5"), (name, "1")]);
            assert_eq!(refused, Err(EventQueryError::Unknown(name.to_owned())), "{name}");
        }
        let twice = read(None, &[("after", "0-0"), ("after", "1-1")]);
        assert_eq!(twice, Err(EventQueryError::Ambiguous("after".to_owned())));
        for name in IGNORED {
            assert_eq!(read(None, &[(name, "0.7")]), Ok(None), "{name}");
        }
    }
}
