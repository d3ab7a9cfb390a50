//! Queries of URLs.

/// The value of the first `name=` in the query of `url`, decoded (WHATWG URL §5.1).
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url.split('#').next().unwrap_or_default();
    let (_, query) = url.split_once('?')?;
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// All parameters in the query of `url`, decoded, in their order.
pub(crate) fn parameters(url: &str) -> Vec<(String, String)> {
    let url = url.split('#').next().unwrap_or_default();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_and_decoded() {
        let url = "https://x/v1/streams?from=7&limit=&cursor=a%20b+c%2&from=9#part?x=1";
        assert_eq!(parameter(url, "from").as_deref(), Some("7"));
        assert_eq!(parameter(url, "limit").as_deref(), Some(""));
        assert_eq!(parameter(url, "cursor").as_deref(), Some("a b c%2"));
        assert_eq!(parameter(url, "x"), None);
        assert_eq!(parameter("https://x/v1", "from"), None);
    }
}
