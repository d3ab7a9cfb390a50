//! The reader of sign-in messages beside the crate `siwe`: both take the same messages and read the same out of them.
//!
//! Where they differ, this is why:
//! - Ours is stricter about what the grammar of EIP-4361 says of the statement, the nonce, the request id, the empty
//!   lines and the digits of the chain id; about times before 1970 and without the `T`; and about the length of the
//!   whole.
//! - Ours knows the scheme before the domain, which the crate does not know yet.
//! - Ours reads the domain, and the URIs, by their characters alone: they are compared with the edge's own afterwards.
//! - Ours takes second 60 at any time, which the crate takes only where a leap second may be.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

use proptest::prelude::*;
use std::str::FromStr;
use streamchain_protocol::auth::siwe::{SignIn, SiweError};
use streamchain_protocol::time::UnixMs;

const ADDRESSES: [&str; 3] = [
    "0x6Da01670d8fc844e736095918bbE11fE8D564163",
    "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045",
    "0x0000000000000000000000000000000000000000",
];

/// Whether both read the same out of the message.
fn is_same(ours: &SignIn<'_>, theirs: &siwe::Message) -> bool {
    let ms = |time: &siwe::TimeStamp| UnixMs((time.as_ref().unix_timestamp_nanos() / 1_000_000) as u64);
    ours.domain == theirs.domain.as_str()
        && ours.address.0 == theirs.address
        && ours.statement == theirs.statement.as_deref()
        && ours.uri == theirs.uri.as_str()
        && ours.chain_id == theirs.chain_id
        && ours.nonce == theirs.nonce
        && ours.issued_at == ms(&theirs.issued_at)
        && ours.expires == theirs.expiration_time.as_ref().map(ms)
        && ours.not_before == theirs.not_before.as_ref().map(ms)
        && ours.request_id == theirs.request_id.as_deref()
        && ours
            .resources
            .iter()
            .copied()
            .eq(theirs.resources.iter().map(|uri| uri.as_str()))
}

/// A message of the grammar, as lines.
fn message() -> impl Strategy<Value = Vec<String>> {
    let time = "20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])";
    let domain = "[a-z]{1,8}(\\.[a-z]{2,5}){0,2}(:[1-9][0-9]{1,3})?";
    let uri = "https?://[a-z]{1,8}(\\.[a-z]{2,5}){0,2}(:[1-9][0-9]{1,3})?(/[a-z0-9._~-]{0,6}){0,3}(\\?[a-z]=[a-z0-9%]{0}[a-z0-9]{0,5})?(#[a-z]{0,4})?";
    let fields = (
        domain,
        prop::sample::select(&ADDRESSES[..]),
        prop::option::of("[A-Za-z0-9 ._~:/?#@!$&'()*+,;=-]{1,40}"),
        uri,
        0u64..=u64::MAX,
        "[A-Za-z0-9]{8,20}",
        time,
    );
    let optional = (
        prop::option::of(time),
        prop::option::of(time),
        prop::option::of("[A-Za-z0-9._~:@!$&'()*+,;=-]{0,12}"),
        prop::option::of(prop::collection::vec(uri, 0..4)),
    );
    (fields, optional).prop_map(|(fields, (expires, not_before, request_id, resources))| {
        let (domain, address, statement, uri, chain_id, nonce, issued_at) = fields;
        let mut lines = vec![
            format!("{domain} wants you to sign in with your Ethereum account:"),
            address.to_owned(),
            String::new(),
        ];
        lines.extend(statement);
        lines.extend([
            String::new(),
            format!("URI: {uri}"),
            "Version: 1".to_owned(),
            format!("Chain ID: {chain_id}"),
            format!("Nonce: {nonce}"),
            format!("Issued At: {issued_at}"),
        ]);
        lines.extend(expires.map(|time| format!("Expiration Time: {time}")));
        lines.extend(not_before.map(|time| format!("Not Before: {time}")));
        lines.extend(request_id.map(|id| format!("Request ID: {id}")));
        if let Some(resources) = resources {
            lines.push("Resources:".to_owned());
            lines.extend(resources.into_iter().map(|uri| format!("- {uri}")));
        }
        lines
    })
}

/// Whether the crate may refuse what ours takes: a scheme, the domain's and the URIs' own grammar, second 60.
fn is_ours_alone(text: &str, ours: &SignIn<'_>, theirs: &siwe::ParseError) -> bool {
    match theirs {
        siwe::ParseError::Domain(_) => ours.scheme.is_some() || siwe_authority(ours.domain).is_err(),
        siwe::ParseError::Uri(_) => true,
        siwe::ParseError::TimeStamp(_) => text.contains(":60"),
        _ => false,
    }
}

/// The crate's reading of the domain alone.
fn siwe_authority(domain: &str) -> Result<(), siwe::ParseError> {
    let rest = "\n0x0000000000000000000000000000000000000000\n\n\nURI: a:b\nVersion: 1\nChain ID: 1\nNonce: 12345678\nIssued At: 2026-01-01T00:00:00Z";
    let text = format!("{domain} wants you to sign in with your Ethereum account:{rest}");
    siwe::Message::from_str(&text).map(drop)
}

/// Whether ours may refuse what the crate takes.
fn is_theirs_alone(ours: SiweError, theirs: &siwe::Message) -> bool {
    let is_before_1970 = |time: &siwe::TimeStamp| time.as_ref().unix_timestamp() < 0;
    // The crate `time` takes any byte between date and time.
    let is_without_t =
        |time: &siwe::TimeStamp| !matches!(time.to_string().as_bytes().get(10), Some(b'T' | b't'));
    match ours {
        SiweError::Grammar(reason) => [
            "expected an empty line around the statement",
            "statement: has a character that may not be there",
            "Nonce: expected 8 letters and digits or more",
            "Request ID: has a character that may not be there",
            "Chain ID: expected a number",
            "it is longer than 4096 bytes",
        ]
        .contains(&reason),
        SiweError::Time(_) => [
            Some(&theirs.issued_at),
            theirs.expiration_time.as_ref(),
            theirs.not_before.as_ref(),
        ]
        .into_iter()
        .flatten()
        .any(|time| is_before_1970(time) || is_without_t(time)),
        _ => false,
    }
}

/// Compares the two readers on one text.
fn compare(text: &str) -> Result<(), TestCaseError> {
    match (SignIn::parse(text), siwe::Message::from_str(text)) {
        (Ok(ours), Ok(theirs)) => prop_assert!(is_same(&ours, &theirs), "{ours:?}\n{theirs:?}"),
        (Ok(ours), Err(theirs)) => {
            prop_assert!(
                is_ours_alone(text, &ours, &theirs),
                "only ours takes it ({theirs}): {text}"
            );
        }
        (Err(ours), Ok(theirs)) => {
            prop_assert!(
                is_theirs_alone(ours, &theirs),
                "only theirs takes it ({ours}): {text}"
            );
        }
        (Err(_), Err(_)) => {}
    }
    Ok(())
}

#[derive(Debug, Clone)]
enum Change {
    Drop(prop::sample::Index),
    Double(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Insert(prop::sample::Index, String),
}

fn change() -> impl Strategy<Value = Change> {
    let line = prop_oneof![
        Just(String::new()),
        "[ -~]{0,20}",
        Just("Resources:".to_owned()),
        Just("- a:b".to_owned())
    ];
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Change::Drop),
        any::<prop::sample::Index>().prop_map(Change::Double),
        any::<(prop::sample::Index, prop::sample::Index)>().prop_map(|(a, b)| Change::Swap(a, b)),
        (any::<prop::sample::Index>(), line).prop_map(|(at, line)| Change::Insert(at, line)),
    ]
}

proptest! {
    #[test]
    fn both_read_every_message_of_the_grammar_alike(lines in message()) {
        let text = lines.join("\n");
        let (ours, theirs) = (SignIn::parse(&text), siwe::Message::from_str(&text));
        let (Ok(ours), Ok(theirs)) = (&ours, &theirs) else {
            return Err(TestCaseError::fail(format!("{ours:?}\n{theirs:?}\n{text}")));
        };
        prop_assert!(is_same(ours, theirs), "{ours:?}\n{theirs:?}");
    }

    #[test]
    fn both_judge_changed_lines_alike(mut lines in message(), change in change()) {
        match change {
            Change::Drop(at) => drop(lines.remove(at.index(lines.len()))),
            Change::Double(at) => {
                let at = at.index(lines.len());
                lines.insert(at, lines[at].clone());
            }
            Change::Swap(a, b) => {
                let (a, b) = (a.index(lines.len()), b.index(lines.len()));
                lines.swap(a, b);
            }
            Change::Insert(at, line) => lines.insert(at.index(lines.len() + 1), line),
        }
        compare(&lines.join("\n"))?;
    }

    #[test]
    fn both_judge_changed_characters_alike(
        lines in message(), at: prop::sample::Index, new in "[ -~\n\r\tä]{0,2}", cut in 0usize..3,
    ) {
        let text = lines.join("\n");
        let at = at.index(text.len());
        let end = (at + cut).min(text.len());
        compare(&format!("{}{new}{}", &text[..at], &text[end..]))?;
    }
}

/// A message that both take.
const PLAIN: &str = "app.example wants you to sign in with your Ethereum account:
0x6Da01670d8fc844e736095918bbE11fE8D564163

Sign in.

URI: https://app.example/
Version: 1
Chain ID: 1
Nonce: 12345678
Issued At: 2026-01-01T00:00:00Z
Request ID: a";

/// Whether ours and the crate take the plain message with one text replaced.
fn takes(old: &str, new: &str) -> (bool, bool) {
    let text = PLAIN.replacen(old, new, 1);
    assert!(old == new || text != PLAIN, "{old:?} is not in the message");
    (
        SignIn::parse(&text).is_ok(),
        siwe::Message::from_str(&text).is_ok(),
    )
}

#[test]
fn ours_is_stricter_where_the_grammar_says_so() {
    assert_eq!(takes("", ""), (true, true));
    for (old, new) in [
        ("Sign in.", "Sign \u{e4}n."),
        ("Sign in.\n\n", "Sign in.\nx\n"),
        ("12345678", "1234-5678"),
        ("ID: a", "ID: a b"),
        ("Chain ID: 1", "Chain ID: +1"),
        ("2026-01-01", "1969-01-01"),
        ("01T00", "01 00"),
        ("ID: a", &format!("ID: {}", "a".repeat(4_096))),
    ] {
        assert_eq!(takes(old, new), (false, true), "{new}");
    }
}

#[test]
fn ours_takes_schemes_and_reads_authorities_by_characters() {
    for (old, new) in [
        ("app.example wants", "https://app.example wants"),
        ("app.example wants", "a:b:c wants"),
        ("https://app.example/", "https://[app.example/"),
        ("00:00:00Z", "00:00:60Z"),
    ] {
        assert_eq!(takes(old, new), (true, false), "{new}");
    }
}
