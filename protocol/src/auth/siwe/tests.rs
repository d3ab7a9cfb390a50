use super::*;
use crate::time::UnixMs;
use proptest::prelude::*;

/// The standard's own example, with everything in it.
const FULL: &str = "https://example.com wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

I accept the ExampleOrg Terms of Service: https://example.com/tos

URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z
Expiration Time: 2021-09-30T17:25:24Z
Not Before: 2021-09-30T16:25:24Z
Request ID: some-id
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/v1/streams/demo";

/// The least that a message has.
const LEAST: &str = "example.com:8080 wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2


URI: http://example.com:8080
Version: 1
Chain ID: 31337
Nonce: 12345678
Issued At: 2021-09-30T16:25:24.123Z";

/// When the example was issued, Unix milliseconds.
const ISSUED: u64 = 1_633_019_124_000;

fn check(text: &str, domain: &str, chain_id: u64, now_ms: u64) -> Result<(), SiweError> {
    let domains = [domain.to_owned()];
    let expected = Expected {
        domains: &domains,
        chain_id,
    };
    SignIn::parse(text).unwrap().check(&expected, UnixMs(now_ms))
}

#[test]
fn a_message_with_everything_is_read() {
    let message = SignIn::parse(FULL).unwrap();
    assert_eq!((message.scheme, message.domain), (Some("https"), "example.com"));
    assert_eq!(
        message.address.to_string(),
        "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
    );
    assert_eq!(
        message.statement,
        Some("I accept the ExampleOrg Terms of Service: https://example.com/tos")
    );
    assert_eq!(
        (message.uri, message.chain_id, message.nonce),
        ("https://example.com/login", 1, "32891756")
    );
    assert_eq!(
        (message.issued_at, message.expires, message.not_before),
        (
            UnixMs(ISSUED),
            Some(UnixMs(ISSUED + 3_600_000)),
            Some(UnixMs(ISSUED))
        )
    );
    assert_eq!(
        (message.request_id, message.resources.len()),
        (Some("some-id"), 2)
    );
    assert_eq!(message.streams(&["example.com"]), Ok(vec!["demo"]));
    let other = FULL.replace(
        "https://example.com/v1/streams/demo",
        "https://example.com/v1/streams/demo/",
    );
    let refused = SignIn::parse(&other).unwrap().streams(&["example.com"]);
    assert_eq!(refused, Err(SiweError::Resource));
}

#[test]
fn a_message_with_the_least_is_read() {
    let message = SignIn::parse(LEAST).unwrap();
    assert_eq!(
        (message.scheme, message.domain, message.statement),
        (None, "example.com:8080", None)
    );
    assert_eq!(
        (message.expires, message.not_before, message.request_id),
        (None, None, None)
    );
    assert!(message.resources.is_empty());
}

#[test]
fn empty_resources_and_an_empty_request_id_are_taken() {
    let message = format!("{LEAST}\nRequest ID: \nResources:");
    let message = SignIn::parse(&message).unwrap();
    assert_eq!((message.request_id, message.resources.len()), (Some(""), 0));
}

#[test]
fn every_departure_from_the_grammar_is_refused() {
    let changes: [(&str, &str); 25] = [
        ("https://example.com wants", "https:// wants"),
        ("https://example.com wants", "ht/tps://example.com wants"),
        ("https://example.com wants", "exa mple.com wants"),
        ("your Ethereum account:", "your Ethereum account"),
        ("account:\n", "account:\r\n"),
        ("0xC02a", "0xc02a"),
        (
            "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
            "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
        ),
        (
            "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
            "C02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
        ),
        (
            "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\n",
            "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n",
        ),
        ("I accept", "I acc\u{e9}pt"),
        ("I accept", "I \"accept\""),
        ("/tos\n\n", "/tos\n"),
        ("/tos\n\n", "/tos\n\n\n"),
        ("URI: https", "URI: 1https"),
        ("URI: https://example.com/login", "URI: https://example.com/%zz"),
        ("Version: 1", "Version: 2"),
        ("Chain ID: 1\n", "Chain ID: \n"),
        ("Chain ID: 1\n", "Chain ID: 0x1\n"),
        ("Chain ID: 1\n", "Chain ID: 99999999999999999999\n"),
        ("Nonce: 32891756", "Nonce: 3289175"),
        ("Nonce: 32891756", "Nonce: 3289-1756"),
        ("Version: 1\nChain ID: 1", "Chain ID: 1\nVersion: 1"),
        ("Request ID: some-id", "Request ID: some id"),
        ("- ipfs://", "- no uri"),
        ("- ipfs://", "ipfs://"),
    ];
    for (from, to) in changes {
        assert!(FULL.contains(from), "{from}");
        let refused = SignIn::parse(&FULL.replacen(from, to, 1)).err();
        assert!(
            refused.is_some_and(SiweError::is_malformed),
            "{from:?} as {to:?} should be refused"
        );
    }
}

#[test]
fn text_behind_the_end_is_refused() {
    for tail in ["\n", "\nAnd more", " ", "\n- https://example.com"] {
        assert!(SignIn::parse(&format!("{LEAST}{tail}")).is_err(), "{tail:?}");
    }
    for tail in ["\n", "\nRequest ID: twice", "\nResources:"] {
        assert!(SignIn::parse(&format!("{FULL}{tail}")).is_err(), "{tail:?}");
    }
    assert!(SignIn::parse(&format!("{FULL}{}", "a".repeat(MAX_MESSAGE_BYTES))).is_err());
}

#[test]
fn a_time_that_is_none_is_named() {
    for (from, name) in [
        ("Issued At: 2021-09-30T16:25:24Z", "Issued At"),
        ("Expiration Time: 2021-09-30T17:25:24Z", "Expiration Time"),
        ("Not Before: 2021-09-30T16:25:24Z", "Not Before"),
    ] {
        let changed = FULL.replacen(from, &format!("{name}: tomorrow"), 1);
        assert_eq!(SignIn::parse(&changed).err(), Some(SiweError::Time(name)));
    }
}

#[test]
fn a_refusal_has_the_word_of_what_is_wrong() {
    let word = |text: &str| SignIn::parse(text).err().map(SiweError::word);
    let address = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2";
    for text in [
        "",
        "hello",
        &format!("{LEAST}\nAnd more"),
        &format!("{LEAST}\n"),
        &LEAST.replace('\n', "\r\n"),
        &LEAST.replace("Version: 1", "Version: 2"),
        &LEAST.replace("URI: ", "Uri: "),
    ] {
        assert_eq!(word(text), Some("grammar"), "{text:?}");
    }
    for other in [address.to_lowercase(), address[..41].to_owned()] {
        assert_eq!(word(&LEAST.replace(address, &other)), Some("checksum"), "{other}");
    }
    for time in ["yesterday", "2026-02-30T00:00:00Z"] {
        let text = LEAST.replace("2021-09-30T16:25:24.123Z", time);
        assert_eq!(word(&text), Some("time"), "{time}");
    }
}

#[test]
fn a_message_is_for_one_domain_and_one_chain() {
    assert_eq!(check(LEAST, "example.com:8080", 31_337, ISSUED), Ok(()));
    assert_eq!(check(LEAST, "EXAMPLE.com:8080", 31_337, ISSUED), Ok(()));
    for domain in ["example.com", "evil.example", "example.com:80", "127.0.0.1:1", ""] {
        assert_eq!(check(LEAST, domain, 31_337, ISSUED), Err(SiweError::Domain));
    }
    let wrong = SiweError::Chain {
        given: 31_337,
        expected: 1,
    };
    assert_eq!(check(LEAST, "example.com:8080", 1, ISSUED), Err(wrong));
}

#[test]
fn a_message_that_names_us_but_is_for_another_page_is_refused() {
    let elsewhere = LEAST.replace(
        "URI: http://example.com:8080",
        "URI: https://evil.example/?example.com:8080",
    );
    assert_eq!(
        check(&elsewhere, "example.com:8080", 31_337, ISSUED),
        Err(SiweError::Domain)
    );
}

#[test]
fn a_message_is_valid_between_its_times_give_or_take_a_minute() {
    let expires = ISSUED + 3_600_000;
    let judge = |now_ms| check(FULL, "example.com", 1, now_ms);
    assert_eq!(judge(ISSUED - CLOCK_SKEW_MS - 1), Err(SiweError::NotYetValid));
    assert_eq!(judge(ISSUED - CLOCK_SKEW_MS), Ok(()));
    assert_eq!(judge(expires + CLOCK_SKEW_MS - 1), Ok(()));
    assert_eq!(judge(expires + CLOCK_SKEW_MS), Err(SiweError::Expired));
    let later = FULL.replace(
        "Not Before: 2021-09-30T16:25:24Z",
        "Not Before: 2021-09-30T16:30:24Z",
    );
    assert_eq!(
        check(&later, "example.com", 1, ISSUED),
        Err(SiweError::NotYetValid)
    );
}

proptest! {
    #[test]
    fn any_text_is_survived(text in "(?s).{0,400}") {
        prop_assert!(SignIn::parse(&text).is_err());
    }

    #[test]
    fn any_changed_character_gives_another_message_or_none(at in 0..FULL.len(), to in "[ -~\n]") {
        let mut changed = FULL.to_owned();
        // `T` and `Z` of a time may be small letters too.
        prop_assume!(!changed[at..=at].eq_ignore_ascii_case(&to));
        changed.replace_range(at..=at, &to);
        prop_assert_ne!(SignIn::parse(&changed), SignIn::parse(FULL));
    }
}
