//! Queries of URLs, without the `url` crate: its tables for international host names alone would double the
//! Worker's size, and all that is read here is behind the `?`.

use std::borrow::Cow;

/// The value of the first `name=` in the query of `url`.
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    pairs(url)
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.into_owned())
}

/// All `name=value` of the query of `url`, the values decoded.
pub(crate) fn pairs(url: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let url = url.split('#').next().unwrap_or_default();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name, decode(value)))
}

/// `%XX` and `+` decoded (WHATWG URL §5.1); what is not UTF-8 then becomes U+FFFD.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        (bytes, rest) = match (byte, escaped) {
            (b'%', Some(value)) => (pushed(bytes, value), tail.get(2..).unwrap_or_default()),
            (b'+', _) => (pushed(bytes, b' '), tail),
            _ => (pushed(bytes, byte), tail),
        };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn pushed(mut bytes: Vec<u8>, byte: u8) -> Vec<u8> {
    bytes.push(byte);
    bytes
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
