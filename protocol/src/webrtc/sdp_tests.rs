use super::super::fingerprint::format_fingerprint;
use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

fn fingerprint() -> String {
    format_fingerprint(&[0xab; 32])
}

/// As Chromium writes it, shortened to what matters.
fn offer() -> String {
    format!(
        "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         a=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
         a=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\na=fingerprint:sha-256 {}\r\n\
         a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n",
        fingerprint()
    )
}

#[test]
fn an_offer_of_a_data_channel_is_read() {
    let expected = Offer {
        mid: "0".into(),
        protocol: DataProtocol::Udp,
        is_bundled: true,
        trickles: true,
        fingerprint: [0xab; 32],
        max_message_size: 262_144,
        relay_begins: true,
    };
    assert_eq!(Offer::parse(&offer()), Ok(expected.clone()));
    assert_eq!(Offer::parse(&offer().replace("\r\n", "\n")), Ok(expected));
}

#[test]
fn a_session_level_fingerprint_counts_if_it_is_sha_256() {
    let line = format!("a=fingerprint:sha-256 {}\r\n", fingerprint());
    let moved = offer()
        .replace(&line, "a=fingerprint:sha-512 AB\r\n")
        .replace("a=group", &format!("{line}a=group"));
    assert_eq!(Offer::parse(&moved).unwrap().fingerprint, [0xab; 32]);
}

#[test]
fn rubbish_is_refused_with_the_reason() {
    let refused = |text: &str| Offer::parse(text).unwrap_err();
    assert_eq!(refused(""), OfferError::NotSdp);
    assert_eq!(refused("hello"), OfferError::NotSdp);
    assert_eq!(refused("{\"sdp\":\"v=0\"}"), OfferError::NotSdp);
    assert_eq!(refused("v=0\r\nnonsense\r\n"), OfferError::Line(2));
    assert_eq!(refused("v=0\r\ns=-\r\n"), OfferError::NoDataSection);
    assert_eq!(refused(&"v".repeat(100_000)), OfferError::TooLarge(100_000));
    let audio = format!("{}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", offer());
    assert_eq!(refused(&audio), OfferError::OtherSections(2));
    let only_audio = offer().replace(
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "m=audio 9 RTP 0",
    );
    assert_eq!(refused(&only_audio), OfferError::NoDataSection);
    assert_eq!(
        refused(&offer().replace("m=application 9", "m=application 0")),
        OfferError::Rejected
    );
    assert_eq!(refused(&offer().replace("a=mid:0\r\n", "")), OfferError::Mid);
    assert_eq!(refused(&offer().replace("a=mid:0", "a=mid:a b")), OfferError::Mid);
    assert_eq!(
        refused(&offer().replace("sha-256", "sha-1")),
        OfferError::Fingerprint
    );
    assert_eq!(refused(&offer().replace("AB:AB", "AB")), OfferError::Fingerprint);
    let held = offer().replace("setup:actpass", "setup:holdconn");
    assert_eq!(refused(&held), OfferError::Setup("holdconn".into()));
    let elsewhere = offer().replace("sctp-port:5000", "sctp-port:5001");
    assert_eq!(refused(&elsewhere), OfferError::SctpPort("5001".into()));
}

#[test]
fn the_relay_begins_the_handshake_unless_the_client_will() {
    let begins = |setup: &str| {
        Offer::parse(&offer().replace("a=setup:actpass\r\n", setup))
            .unwrap()
            .relay_begins
    };
    assert!(begins("a=setup:actpass\r\n"));
    assert!(begins("a=setup:passive\r\n"));
    assert!(!begins(""), "RFC 4145 §4.1: an offer without it is active");
    assert!(!begins("a=setup:active\r\n"));
}

#[test]
fn an_answer_holds_all_that_a_client_needs_and_udp_comes_first() {
    let address = IpAddr::from([192, 0, 2, 1]);
    let candidates = [
        Candidate {
            transport: Transport::Udp,
            address,
            port: 7100,
        },
        Candidate {
            transport: Transport::Tcp,
            address,
            port: 443,
        },
    ];
    let offer = offer()
        .replace("BUNDLE 0", "BUNDLE data")
        .replace("a=mid:0", "a=mid:data");
    let passive = answer(&offer.replace("actpass", "active"), &candidates);
    assert!(passive.contains("\r\na=setup:passive\r\n"), "{passive}");
    let answer = answer(&offer, &candidates);
    for line in [
        "v=0",
        "a=group:BUNDLE data",
        "a=ice-lite",
        "a=mid:data",
        "a=ice-ufrag:ufrag",
        "a=ice-pwd:pwd",
        "a=setup:active",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 7100 typ host",
        "a=candidate:2 1 tcp 1520434943 192.0.2.1 443 typ host tcptype passive",
        "a=end-of-candidates",
    ] {
        assert!(
            answer.split("\r\n").any(|given| given == line),
            "{line} is missing in\n{answer}"
        );
    }
    assert!(answer.ends_with("\r\n"));
}

fn answer(offer: &str, candidates: &[Candidate]) -> String {
    Answer {
        offer: &Offer::parse(offer).unwrap(),
        ice_ufrag: "ufrag",
        ice_pwd: "pwd",
        fingerprint: &fingerprint(),
        candidates,
        origin: 1,
    }
    .write()
}

/// An answer has what its offer had first, and nothing of it where the offer had not.
#[test]
fn an_answer_has_no_more_than_was_offered() {
    let bundle = "a=group:BUNDLE 0\r\n";
    for (offered, has_bundle) in [
        (offer(), true),
        (offer().replace(bundle, "a=group:BUNDLE 1 0\r\n"), true),
        (
            offer().replace(bundle, "a=group:LS 0\r\na=group:BUNDLE 0\r\n"),
            true,
        ),
        (offer().replace(bundle, ""), false),
        (offer().replace(bundle, "a=group:BUNDLE\r\n"), false),
        (offer().replace(bundle, "a=group:BUNDLE 1\r\n"), false),
        (offer().replace(bundle, "a=group:LS 0\r\n"), false),
    ] {
        let answer = answer(&offered, &[]);
        assert_eq!(answer.contains(bundle), has_bundle, "{offered}");
        assert_eq!(answer.contains("a=group"), has_bundle, "{answer}");
    }
    let trickle = "a=ice-options:trickle\r\n";
    for (options, ends) in [
        (trickle, true),
        ("a=ice-options:ice2 trickle\r\n", true),
        ("", false),
    ] {
        let answer = answer(&offer().replace(trickle, options), &[]);
        assert_eq!(answer.contains("a=end-of-candidates"), ends, "{options}");
        assert!(
            !answer.contains("ice-options") && !answer.contains("extmap"),
            "{answer}"
        );
    }
    let tcp = answer(&offer().replace("UDP/DTLS", "TCP/DTLS"), &[]);
    assert!(
        tcp.contains("m=application 9 TCP/DTLS/SCTP webrtc-datachannel\r\n"),
        "{tcp}"
    );
}

#[test]
fn the_largest_message_is_the_offers() {
    let size = |line: &str| {
        let text = offer().replace("a=max-message-size:262144\r\n", line);
        Offer::parse(&text).unwrap().max_message_size
    };
    assert_eq!(size(""), 65_536);
    assert_eq!(size("a=max-message-size:many\r\n"), 65_536);
    assert_eq!(size("a=max-message-size:0\r\n"), 0);
    assert_eq!(size("a=max-message-size:1200\r\n"), 1_200);
}

/// What a `a=candidate:` line says.
#[derive(Debug, PartialEq)]
struct Written {
    foundation: String,
    component: u32,
    transport: String,
    priority: u32,
    address: IpAddr,
}

fn written(candidates: &[Candidate]) -> Vec<Written> {
    let text = answer(&offer(), candidates);
    let lines = text.lines().filter_map(|line| line.strip_prefix("a=candidate:"));
    lines
        .map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
            [foundation, component, transport, priority, address, ..] => Written {
                foundation: foundation.to_owned(),
                component: component.parse().unwrap(),
                transport: transport.to_owned(),
                priority: priority.parse().unwrap(),
                address: address.parse().unwrap(),
            },
            _ => panic!("{line}"),
        })
        .collect()
}

#[test]
fn candidates_of_one_address_and_transport_have_one_foundation() {
    let of = |transport, last, port| Candidate {
        transport,
        address: IpAddr::from([192, 0, 2, last]),
        port,
    };
    let all = written(&[
        of(Transport::Udp, 1, 7100),
        of(Transport::Udp, 2, 7100),
        of(Transport::Udp, 1, 7200),
        of(Transport::Tcp, 1, 7100),
    ]);
    let foundations: Vec<&str> = all.iter().map(|line| line.foundation.as_str()).collect();
    assert_eq!(foundations, ["1", "2", "1", "4"]);
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let transport = prop_oneof![Just(Transport::Udp), Just(Transport::Tcp)];
    (transport, any::<IpAddr>(), 1u16..).prop_map(|(transport, address, port)| Candidate {
        transport,
        address,
        port,
    })
}

proptest! {
    #[test]
    fn priorities_are_as_rfc_8445_has_them(candidates in prop::collection::vec(any_candidate(), 1..9)) {
        let all = written(&candidates);
        prop_assert_eq!(all.len(), candidates.len());
        for (line, candidate) in all.iter().zip(&candidates) {
            let (kind, component) = (line.priority >> 24, 256 - (line.priority & 0xFF));
            prop_assert_eq!((line.component, component, line.address), (1, 1, candidate.address));
            let is_udp = candidate.transport == Transport::Udp;
            prop_assert_eq!((line.transport == "udp", kind), (is_udp, if is_udp { 126 } else { 90 }));
        }
        for (at, line) in all.iter().enumerate() {
            for (behind, other) in all[at + 1..].iter().zip(&candidates[at + 1..]) {
                prop_assert_ne!(line.priority, behind.priority, "each its own");
                if line.transport == behind.transport {
                    prop_assert!(line.priority > behind.priority, "best first");
                }
                let same = other.transport == candidates[at].transport && other.address == candidates[at].address;
                prop_assert_eq!(line.foundation == behind.foundation, same);
            }
        }
        let lowest_udp = all.iter().filter(|line| line.transport == "udp").map(|line| line.priority).min();
        let highest_tcp = all.iter().filter(|line| line.transport == "tcp").map(|line| line.priority).max();
        if let (Some(udp), Some(tcp)) = (lowest_udp, highest_tcp) {
            prop_assert!(udp > tcp, "UDP above TCP");
        }
    }

    #[test]
    fn any_text_is_survived(text in "(.|\r\n|v=0\r\n|m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n|a=mid:0){0,40}") {
        let _ = Offer::parse(&text);
    }

    #[test]
    fn a_damaged_offer_is_survived(at in any::<prop::sample::Index>(), to in any::<char>()) {
        let text = offer();
        let at = at.index(text.len());
        let damaged: String = text.chars().enumerate().map(|(i, c)| if i == at { to } else { c }).collect();
        let _ = Offer::parse(&damaged);
    }
}

#[test]
fn a_refusal_says_what_the_offer_lacks() {
    let reason = |text: &str| Offer::parse(text).unwrap_err().to_string();
    let good = offer();
    let (session, _) = good.split_once("m=application").unwrap();
    let fingerprint = format!("a=fingerprint:sha-256 {}\r\n", fingerprint());
    for (text, says) in [
        ("{\"type\":\"offer\",\"sdp\":\"v=0\"}", "not SDP"),
        (session, "no data section"),
        (&good.replace(&fingerprint, ""), "a=fingerprint"),
        (
            &good.replace("setup:actpass", "setup:holdconn"),
            "a=setup:holdconn",
        ),
        (&format!("{good}{}", "a=x:y\r\n".repeat(20_000)), "at most 32768"),
    ] {
        assert!(reason(text).contains(says), "{}", reason(text));
    }
}
