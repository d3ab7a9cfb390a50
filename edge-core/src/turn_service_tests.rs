use super::*;
use proptest::prelude::*;
use streamchain_protocol::time::UnixMs;

const NOW: u64 = 1_700_000_000_000;
const HOUR: u64 = 3_600_000;

const ANSWER: &str = r#"{"iceServers":[
    {"urls":["stun:stun.example:3478","stun:stun.example:53"]},
    {"urls":["turn:turn.example:3478?transport=udp","turn:turn.example:53?transport=udp",
             "turns:turn.example:443?transport=tcp"],"username":"u1","credential":"c1"}]}"#;

fn urls(service: &TurnService, now: UnixMs) -> Vec<&str> {
    service
        .servers(now)
        .iter()
        .map(|server| server.urls.as_str())
        .collect()
}

/// A service that was given servers at `NOW`.
fn given() -> TurnService {
    let mut service = TurnService::default();
    assert!(service.begin(UnixMs(NOW)));
    assert!(service.handle_answer(ANSWER.as_bytes(), UnixMs(NOW + 50)).is_ok());
    service
}

#[test]
fn an_answer_becomes_one_server_for_each_url_that_browsers_take() {
    let service = given();
    let expected = [
        "stun:stun.example:3478",
        "turn:turn.example:3478?transport=udp",
        "turns:turn.example:443?transport=tcp",
    ];
    assert_eq!(urls(&service, UnixMs(NOW)), expected);
    let [stun, turn, _] = service.servers(UnixMs(NOW)) else {
        panic!("three servers")
    };
    assert_eq!((&stun.username, &stun.credential), (&None, &None));
    assert_eq!(
        (turn.username.as_deref(), turn.credential.as_deref()),
        (Some("u1"), Some("c1"))
    );
}

#[test]
fn a_single_server_with_a_single_url_is_an_answer_too() {
    let body = r#"{"iceServers":{"urls":"turn:turn.example","username":"u","credential":"c"}}"#;
    let mut service = TurnService::default();
    service.begin(UnixMs(NOW));
    assert!(service.handle_answer(body.as_bytes(), UnixMs(NOW)).is_ok());
    assert_eq!(urls(&service, UnixMs(NOW)), ["turn:turn.example"]);
}

#[test]
fn it_is_asked_once_and_again_at_half_the_credentials_life() {
    let mut service = TurnService::default();
    assert!(service.begin(UnixMs(NOW)));
    assert!(!service.begin(UnixMs(NOW + 1)), "one request is under way");
    assert!(service.handle_answer(ANSWER.as_bytes(), UnixMs(NOW + 50)).is_ok());
    assert!(!service.begin(UnixMs(NOW + 11 * HOUR)));
    assert!(service.begin(UnixMs(NOW + 12 * HOUR)));
    assert_eq!(
        urls(&service, UnixMs(NOW + 13 * HOUR)).len(),
        3,
        "the old ones are good meanwhile"
    );
}

#[test]
fn waits_grow_while_the_provider_fails_and_servers_last() {
    let mut service = given();
    let mut now = NOW + 12 * HOUR;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert!(service.begin(UnixMs(now)));
        service.handle_failure(UnixMs(now));
        let asked = now;
        while !service.begin(UnixMs(now)) {
            now += 1_000;
        }
        service.handle_failure(UnixMs(now));
        pauses.push((now - asked) / 1_000);
        now += MAX_RETRY_MS;
    }
    assert_eq!(pauses, [10, 40, 160, 600, 600, 600, 600, 600], "seconds");
    assert_eq!(urls(&service, UnixMs(NOW + 24 * HOUR - 1)).len(), 3);
    assert!(urls(&service, UnixMs(NOW + 24 * HOUR)).is_empty());
}

#[test]
fn a_request_without_an_end_does_not_stop_the_next_one() {
    let mut service = TurnService::default();
    assert!(service.begin(UnixMs(NOW)));
    assert!(!service.begin(UnixMs(NOW + 2 * TURN_SERVICE_TIMEOUT_MS)));
    assert!(service.begin(UnixMs(NOW + 2 * TURN_SERVICE_TIMEOUT_MS + 1)));
}

#[test]
fn what_was_issued_outlives_a_restart() {
    let mut service = TurnService::default();
    service.begin(UnixMs(NOW));
    let kept = service
        .handle_answer(ANSWER.as_bytes(), UnixMs(NOW))
        .cloned()
        .ok();
    let mut service = TurnService::restore(kept.unwrap_or_default());
    assert_eq!(urls(&service, UnixMs(NOW + HOUR)).len(), 3);
    assert!(!service.begin(UnixMs(NOW + HOUR)));
}

#[test]
fn other_answers_give_nothing_and_count_as_failures() {
    for (body, error) in [
        ("", TurnServiceError::Shape),
        ("<html>", TurnServiceError::Shape),
        ("[]", TurnServiceError::Shape),
        (r#"{"iceServers":"turn:x"}"#, TurnServiceError::Shape),
        (r#"{"iceServers":[]}"#, TurnServiceError::Empty),
        (
            r#"{"iceServers":[{"urls":["http://x","turn:x:53"]}]}"#,
            TurnServiceError::Empty,
        ),
        // Would leave its place in a Link header.
        (
            r#"{"iceServers":[{"urls":"turn:x>; rel=\"y"}]}"#,
            TurnServiceError::Empty,
        ),
        (
            r#"{"iceServers":[{"urls":"turn:x","username":"a\r\nb"}]}"#,
            TurnServiceError::Empty,
        ),
    ] {
        let mut service = TurnService::default();
        service.begin(UnixMs(NOW));
        assert_eq!(
            service.handle_answer(body.as_bytes(), UnixMs(NOW)).cloned(),
            Err(error),
            "{body}"
        );
        assert!(
            !service.begin(UnixMs(NOW + RETRY_FIRST_MS - 1)) && service.begin(UnixMs(NOW + RETRY_FIRST_MS))
        );
    }
}

#[test]
fn a_flood_of_servers_is_cut() {
    let many: Vec<_> = (0..100)
        .map(|port| format!("\"turn:x:{}\"", 1_000 + port))
        .collect();
    let body = format!("{{\"iceServers\":[{{\"urls\":[{}]}}]}}", many.join(","));
    let mut service = TurnService::default();
    service.begin(UnixMs(NOW));
    assert!(service.handle_answer(body.as_bytes(), UnixMs(NOW)).is_ok());
    assert_eq!(service.servers(UnixMs(NOW)).len(), MAX_SERVERS);
}

proptest! {
    #[test]
    fn any_answer_is_survived(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = TurnService::default().handle_answer(&body, UnixMs(NOW));
    }

    #[test]
    fn no_text_leaves_its_place_in_a_link_header(url in "(stun|turns?):.{0,20}", user in ".{0,8}") {
        let body = serde_json::json!({"iceServers": [{"urls": url, "username": user, "credential": "c"}]});
        let mut service = TurnService::default();
        if let Ok(issued) = service.handle_answer(body.to_string().as_bytes(), UnixMs(NOW)) {
            let link = issued.servers[0].link();
            prop_assert_eq!(link.matches('<').count() + link.matches('>').count(), 2);
            prop_assert_eq!(link.matches('"').count() % 2, 0);
            prop_assert!(!link.contains(char::is_control));
        }
    }
}
