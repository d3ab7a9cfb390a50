//! A stream at several relays: who leads it, who follows, and what becomes of it when the leader is lost.

use super::*;
use crate::directory::{Belief, LeaderView, MAX_SERVING, Standing};
use crate::stream_log::leadership::{
    CLOSED_TAKEOVER_INTERVAL_MS, CLOSED_WAIT_MS, LOST_WAIT_MS, TAKEOVER_INTERVAL_MS,
};
use crate::stream_log::serving::BARRED_MS;
use streamchain_protocol::auth::{LinkTicket, RelayKey};
use streamchain_protocol::limits::PRESENCE_LIFE_MS;
use streamchain_protocol::wire::{LinkReach, Presence};

/// When the stream is opened at its relays.
const START: UnixMs = UnixMs(1_000_000);

fn after(ms: u64) -> UnixMs {
    START.plus_ms(ms)
}

fn link() -> LinkReach {
    LinkReach {
        addresses: vec!["192.0.2.1:7443".parse().unwrap()],
        fingerprint: ["CD"; 32].join(":"),
    }
}

/// What the directory says of a leader that renewed at `heard`.
fn alive(leader: &str, heard: UnixMs) -> LeaderView {
    view(
        leader,
        Standing::Alive {
            heard,
            run_since: Some(UnixMs(0)),
            link: link(),
            key: None,
        },
    )
}

fn view(leader: &str, standing: Standing) -> LeaderView {
    LeaderView {
        leader: relay(leader),
        standing,
        follower: Some([7; 32]),
        belief: Belief::Believed,
    }
}

/// Sends a session of an author to a relay that shares streams.
fn share(log: &StreamLog<Memory>, relay_id: &str, author: u8, now: UnixMs) -> bool {
    let session = Session {
        id: SessionId([author; 8]),
        author: Address::repeat_byte(author),
        relay: relay(relay_id),
        created: now,
    };
    let seen = log.state().unwrap().assigned;
    let to = Destination {
        seen: seen.as_ref(),
        shares: true,
        follows: seen.is_some(),
        gone: &[],
    };
    log.step(|log| {
        log.admit_author(session.author, &session.relay, now)?;
        log.open_session(&session, to)
    })
    .unwrap()
}

/// A relay's request for the stream.
struct Request<'a> {
    relay: &'a str,
    lost: Option<u64>,
    closed: bool,
    view: Option<LeaderView>,
    committed: UnixMs,
    since: UnixMs,
}

fn request(relay: &str, view: Option<LeaderView>) -> Request<'_> {
    Request {
        relay,
        lost: None,
        closed: false,
        view,
        committed: UnixMs(0),
        since: START,
    }
}

fn ask(log: &StreamLog<Memory>, request: &Request<'_>, now: UnixMs) -> Step<Acquiring, Memory> {
    let asked = AcquireEpoch {
        incarnation: run(1),
        groups: true,
        follows: true,
        lost: request.lost.map(Epoch),
        closed: request.closed,
    };
    let asking = Asking {
        relay: &relay(request.relay),
        asked: &asked,
        view: request.view.as_ref(),
        committed: request.committed,
        since: request.since,
    };
    log.step(|log| log.acquire(&asking, now))
}

fn leads(outcome: &Step<Acquiring, Memory>) -> Option<u64> {
    match outcome {
        Ok(Acquiring::Leads(grant)) => Some(grant.epoch.0),
        _ => None,
    }
}

fn follows(outcome: Step<Acquiring, Memory>) -> Follow {
    match outcome {
        Ok(Acquiring::Follows(follow)) => follow,
        other => panic!("expected to follow, got {other:?}"),
    }
}

/// A stream with a session each at `a`, which leads it under epoch 1, and at `b` and `c`, which follow.
fn shared() -> StreamLog<Memory> {
    let log = StreamLog::in_memory();
    log.step(|log| log.create(&new_stream(), START)).unwrap();
    for (author, name) in [(1, "a"), (2, "b"), (3, "c")] {
        assert!(share(&log, name, author, START));
    }
    assert_eq!(leads(&ask(&log, &request("a", None), START)), Some(1));
    for name in ["b", "c"] {
        follows(ask(&log, &request(name, Some(alive("a", START))), START));
    }
    log
}

fn followers(log: &StreamLog<Memory>) -> Vec<String> {
    let state = log.state().unwrap();
    state.followers().map(ToString::to_string).collect()
}

#[test]
fn the_first_leads_and_the_others_follow_it() {
    let log = shared();
    let state = log.state().unwrap();
    assert_eq!(state.relay_leader(), Some(&relay("a")));
    assert_eq!(followers(&log), ["b", "c"]);
    assert_eq!(state.relays(), ["a", "b", "c"].map(relay));
    let again = ask(&log, &request("b", None), START);
    assert_eq!(again.unwrap(), Acquiring::LookUp(relay("a")));
}

#[test]
fn a_ticket_is_good_at_the_leader_for_its_follower() {
    let log = shared();
    let follow = follows(ask(&log, &request("b", Some(alive("a", START))), START));
    assert_eq!(follow.leader(), &relay("a"));
    let key = RelayKey::from_hex(&"11".repeat(32)).unwrap().link_key();
    let grant = follow.grant(&relay("b"), &key, START);
    let ticket = LinkTicket::verify(&grant.ticket, &key, grant.expires).unwrap();
    assert_eq!((ticket.follower, ticket.fingerprint), (relay("b"), [7; 32]));
    assert_eq!((ticket.stream, ticket.epoch), (grant.stream.short(), Epoch(1)));
    assert_eq!((grant.link, grant.leader), (link(), relay("a")));
    assert!(grant.expires > START.to_sec());
}

#[test]
fn a_relay_that_was_sent_no_session_gets_nothing() {
    let log = shared();
    for lost in [None, Some(1)] {
        for view in [None, Some(alive("a", START)), Some(view("a", Standing::Dead))] {
            let stranger = Request {
                lost,
                ..request("d", view)
            };
            let refused = refusal(ask(&log, &stranger, after(LOST_WAIT_MS)));
            assert_eq!(refused, Refusal::NotLeader { relay: relay("a") });
        }
    }
}

#[test]
fn a_relay_without_links_neither_follows_nor_is_followed() {
    let log = shared();
    let without = LeaderView {
        follower: None,
        ..alive("a", START)
    };
    for view in [without, view("a", Standing::NoLinks)] {
        let refused = refusal(ask(&log, &request("b", Some(view)), START));
        assert_eq!(refused, Refusal::NotLeader { relay: relay("a") });
    }
    let of_before = log.step(|log| log.acquire_epoch(&relay("b"), run(1)));
    assert_eq!(refusal(of_before), Refusal::NotLeader { relay: relay("a") });
}

#[test]
fn a_report_waits_for_a_sign_of_life_of_the_leader() {
    let log = shared();
    let report = |committed, heard| Request {
        lost: Some(1),
        committed,
        ..request("b", Some(alive("a", heard)))
    };
    let until = after(LOST_WAIT_MS);
    let waits = ask(&log, &report(UnixMs(0), START), START).unwrap();
    assert_eq!(waits, Acquiring::Wait(until));
    for (committed, heard) in [(after(1), START), (START, after(1))] {
        follows(ask(&log, &report(committed, heard), until));
    }
    let silent = report(START, START);
    let early = ask(&log, &silent, after(LOST_WAIT_MS - 1)).unwrap();
    assert_eq!(early, Acquiring::Wait(until));
    assert_eq!(leads(&ask(&log, &silent, until)), Some(2));
    assert_eq!(log.state().unwrap().assigned, Some(relay("b")));
    let late = Request {
        lost: Some(1),
        ..request("c", Some(alive("b", START)))
    };
    let follow = follows(ask(&log, &late, until));
    assert_eq!(follow.leader(), &relay("b"), "its report is about another leader");
}

#[test]
fn a_leader_whose_port_is_closed_is_waited_for_less() {
    let log = shared();
    let report = |committed| Request {
        lost: Some(1),
        closed: true,
        committed,
        ..request("b", Some(alive("a", START)))
    };
    let until = after(CLOSED_WAIT_MS);
    let early = ask(&log, &report(START), after(CLOSED_WAIT_MS - 1)).unwrap();
    assert_eq!(early, Acquiring::Wait(until));
    let follow = follows(ask(&log, &report(after(1)), until));
    assert_eq!(follow.leader(), &relay("a"), "it committed: it lives");
    assert_eq!(leads(&ask(&log, &report(START), until)), Some(2));
    let second = Request {
        lost: Some(2),
        closed: true,
        since: until,
        ..request("c", Some(alive("b", START)))
    };
    let later = until.plus_ms(CLOSED_TAKEOVER_INTERVAL_MS);
    let soon = ask(&log, &second, later.minus_ms(1)).unwrap();
    assert_eq!(soon, Acquiring::Unreachable(relay("b")));
    assert_eq!(leads(&ask(&log, &second, later)), Some(3));
}

#[test]
fn a_leader_that_was_replaced_follows_and_commits_no_more() {
    let log = shared();
    let report = Request {
        lost: Some(1),
        ..request("b", Some(alive("a", START)))
    };
    assert_eq!(leads(&ask(&log, &report, after(LOST_WAIT_MS))), Some(2));
    let late = log.step(|log| log.commit(&relay("a"), &batch(1, 0, records(1, 0, 1))));
    assert!(matches!(refusal(late), Refusal::StaleEpoch { .. }));
    let follow = follows(ask(&log, &request("a", Some(alive("b", START))), START));
    assert_eq!(follow.leader(), &relay("b"));
    log.step(|log| log.commit(&relay("b"), &batch(2, 0, records(1, 0, 1))))
        .unwrap();
}

#[test]
fn a_dead_leader_is_replaced_at_once() {
    for gone in [
        Standing::Dead,
        Standing::Alive {
            heard: after(9_000),
            run_since: Some(after(8_000)),
            link: link(),
            key: None,
        },
    ] {
        let log = shared();
        let asked = request("c", Some(view("a", gone)));
        assert_eq!(leads(&ask(&log, &asked, after(9_000))), Some(2));
        let next = ask(&log, &request("b", Some(alive("c", after(9_000)))), after(9_000));
        assert_eq!(follows(next).leader(), &relay("c"));
    }
}

#[test]
fn after_a_goodbye_the_first_who_asks_leads() {
    let log = shared();
    log.step(|log| log.release(&relay("a"), Epoch(1))).unwrap();
    assert_eq!(leads(&ask(&log, &request("c", None), after(1))), Some(2));
    let second = ask(&log, &request("b", Some(alive("c", START))), after(1));
    assert_eq!(follows(second).leader(), &relay("c"));
}

#[test]
fn what_waits_when_the_leader_leaves_goes_before_the_next() {
    let log = shared();
    log.step(|log| log.append(&records(9, 0, 1))).unwrap();
    log.step(|log| log.release(&relay("a"), Epoch(1))).unwrap();
    let state = log.state().unwrap();
    assert_eq!(
        (state.head, state.epoch),
        (Seq(1), Epoch(2)),
        "the edge committed"
    );
    let lost = Request {
        lost: Some(1),
        ..request("b", None)
    };
    assert_eq!(leads(&ask(&log, &lost, after(1))), Some(3));
}

#[test]
fn no_two_takeovers_by_report_follow_each_other_soon() {
    let log = shared();
    let report = |relay, leader, epoch, since| Request {
        lost: Some(epoch),
        since,
        ..request(relay, Some(alive(leader, START)))
    };
    let first = after(LOST_WAIT_MS);
    assert_eq!(leads(&ask(&log, &report("b", "a", 1, START), first)), Some(2));
    let soon = first.plus_ms(TAKEOVER_INTERVAL_MS - 1);
    let again = report("c", "b", 2, first);
    let refused = ask(&log, &again, soon).unwrap();
    assert_eq!(refused, Acquiring::Unreachable(relay("b")));
    let state = log.state().unwrap();
    assert_eq!((state.epoch, state.relay_leader()), (Epoch(2), Some(&relay("b"))));
    assert_eq!(state.wanted(soon).barred, [relay("c")]);
    let later = first.plus_ms(TAKEOVER_INTERVAL_MS);
    assert_eq!(leads(&ask(&log, &again, later)), Some(3));
    assert_eq!(log.state().unwrap().wanted(later).barred, [], "it leads");
}

#[test]
fn a_relay_that_does_not_reach_a_living_leader_is_barred() {
    let log = shared();
    let report = |since: UnixMs| Request {
        lost: Some(1),
        since,
        ..request("b", Some(alive("a", since.plus_ms(1))))
    };
    for second in 0..2 {
        let at = after(second * 1_000);
        follows(ask(&log, &report(at), at.plus_ms(1)));
    }
    let at = after(2_000);
    let refused = ask(&log, &report(at), at.plus_ms(1)).unwrap();
    assert_eq!(refused, Acquiring::Unreachable(relay("a")));
    let barred = |now| log.state().unwrap().wanted(now).barred;
    assert_eq!(barred(at.plus_ms(2)), [relay("b")]);
    assert_eq!(barred(at.plus_ms(2 + BARRED_MS)), []);
    assert_eq!(log.state().unwrap().epoch, Epoch(1));
}

#[test]
fn authors_are_known_at_every_relay_of_the_stream() {
    let log = shared();
    let commit = |author, first| {
        let batch = batch(1, first, records(author, 0, 1));
        log.step(|log| log.commit(&relay("a"), &batch))
    };
    for (first, author) in [1, 2, 3].into_iter().enumerate() {
        commit(author, first as u64).unwrap();
    }
    let stranger = refusal(commit(4, 3));
    assert_eq!(stranger, Refusal::UnknownAuthor(Address::repeat_byte(4)));
    share(&log, "b", 4, after(1));
    commit(4, 3).unwrap();
}

#[test]
fn a_relay_without_shared_streams_has_the_stream_alone() {
    let log = shared();
    let mut moved = session(9, "old", 2_000_000);
    moved.author = Address::repeat_byte(9);
    assert!(log.open_session(&moved, Some(&relay("a"))).unwrap());
    let state = log.state().unwrap();
    assert_eq!(state.assigned, Some(relay("old")));
    assert_eq!(
        state.relays(),
        [relay("a"), relay("old")],
        "a leads until it acquires"
    );
    let refused = refusal(ask(&log, &request("b", None), after(1)));
    assert_eq!(refused, Refusal::NotLeader { relay: relay("old") });
    log.acquire_epoch(&relay("old"), run(1)).unwrap();
}

#[test]
fn a_relay_that_gave_the_stream_back_makes_room() {
    let log = shared();
    let name = |number: usize| format!("f{number}");
    for number in 3..MAX_SERVING {
        assert!(share(&log, &name(number), 9, START));
    }
    assert!(log.state().unwrap().wanted(START).is_full);
    assert!(!share(&log, "late", 9, START));
    assert!(share(&log, "b", 9, START), "one that has the stream gets more");
    log.step(|log| log.release(&relay("b"), Epoch(1))).unwrap();
    assert_eq!(followers(&log), ["c"]);
    assert!(
        !share(&log, "late", 9, after(60_000)),
        "its last session may still begin"
    );
    let later = after(120_000);
    assert!(!log.state().unwrap().wanted(later).is_full);
    assert!(share(&log, "late", 9, later));
    let state = log.state().unwrap();
    assert_eq!(state.relays().len(), MAX_SERVING);
    assert!(state.relays().contains(&relay("late")));
    assert!(state.relays().contains(&relay("c")), "it follows");
}

#[test]
fn relays_that_are_gone_are_forgotten_in_a_minute() {
    let log = shared();
    let see = |gone: &[RelayId], number: u8, now: UnixMs| {
        let seen = log.state().unwrap().assigned;
        let to = Destination {
            seen: seen.as_ref(),
            shares: true,
            follows: true,
            gone,
        };
        assert!(log.open_session(&session(number, "a", now.0), to).unwrap());
    };
    let gone = ["a", "b"].map(relay);
    see(&gone, 21, after(1));
    assert_eq!(followers(&log), ["c"]);
    assert_eq!(
        log.state().unwrap().relays().len(),
        3,
        "its messages may be on their way"
    );
    see(&gone, 22, after(60_001));
    assert_eq!(log.state().unwrap().relays(), ["a", "c"].map(relay));
}

#[test]
fn a_session_waits_for_no_row_but_its_own() {
    let log = shared();
    share(&log, "b", 2, after(1));
    let writes = log.writes();
    share(&log, "b", 2, after(2));
    assert_eq!(
        log.writes() - writes,
        2,
        "the session, and the pruning of sessions"
    );
}

#[test]
fn who_is_there_is_what_the_leader_says_while_it_leads() {
    let log = shared();
    let said = Presence {
        readers: 2,
        publishers: 1,
        authors: vec![Address::repeat_byte(1)],
    };
    let refused = |relay_id, epoch| log.need_leader(&relay(relay_id), Epoch(epoch)).is_err();
    assert!(refused("b", 1) && refused("a", 2) && !refused("a", 1));
    let reported = ReportedPresence::new(said.clone(), Epoch(1), after(0));
    let state = log.state().unwrap();
    assert_eq!(reported.shown(&state, after(60_000)), Some(&said));
    assert_eq!(
        reported.shown(&state, after(PRESENCE_LIFE_MS)),
        None,
        "too long ago"
    );
    log.step(|log| log.release(&relay("a"), Epoch(1))).unwrap();
    let state = log.state().unwrap();
    assert_eq!(reported.shown(&state, after(1)), None, "nobody leads");
}

#[test]
fn a_report_that_is_not_believed_takes_no_stream() {
    for (belief, again) in [(Belief::TooMany, false), (Belief::Refuted, true)] {
        let log = shared();
        let lost = Request {
            lost: Some(1),
            ..request(
                "b",
                Some(LeaderView {
                    belief,
                    ..alive("a", START)
                }),
            )
        };
        let answer = ask(&log, &lost, after(LOST_WAIT_MS + 1));
        match again {
            true => assert_eq!(follows(answer).leader(), &relay("a")),
            false => assert!(matches!(answer, Err(LogError::Refused(Refusal::TooManyReports)))),
        }
        assert_eq!(log.state().unwrap().epoch, Epoch(1));
    }
}
