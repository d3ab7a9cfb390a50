use super::*;
use streamchain_protocol::time::UnixMs;

#[test]
fn sessions_that_are_opened_at_once_meet_at_one_relay() {
    let log = StreamLog::in_memory();
    log.create(&new_stream(), UnixMs(0)).unwrap();
    assert!(log.open_session(&session(1, "a", 0), None).unwrap());
    assert!(
        !log.open_session(&session(2, "b", 0), None).unwrap(),
        "it must choose again"
    );
    assert!(log.open_session(&session(2, "a", 0), Some(&relay("a"))).unwrap());
    assert!(
        log.open_session(&session(3, "b", 0), Some(&relay("a"))).unwrap(),
        "relay a died"
    );
    assert_eq!(log.state().unwrap().assigned, Some(relay("b")));
}

#[test]
fn only_its_author_ends_a_session_within_a_day() {
    let log = StreamLog::in_memory();
    log.create(&new_stream(), UnixMs(0)).unwrap();
    log.open_session(&session(1, "a", 0), None).unwrap();
    let id = SessionId([1; 8]);
    let stranger = log.session_of(id, Address::repeat_byte(2));
    assert_eq!(refusal(stranger), Refusal::NotYourSession);
    assert_eq!(
        log.session_of(id, Address::repeat_byte(1)).unwrap().relay,
        relay("a")
    );
    log.open_session(
        &session(2, "a", crate::stream_log::sessions::SESSION_LIFE_MS + 1),
        Some(&relay("a")),
    )
    .unwrap();
    assert_eq!(
        (log.sessions_kept(), refusal(log.session_of(id, Address::ZERO))),
        (1, Refusal::NoSuchSession)
    );
}
