use super::*;
use streamchain_protocol::time::UnixMs;

#[test]
fn a_stream_is_created_once() {
    let log = StreamLog::in_memory();
    assert_eq!(refusal(log.state()), Refusal::NoSuchStream);
    let (state, created) = log.create(&new_stream(), UnixMs(5)).unwrap();
    assert!(created && state.created == UnixMs(5) && state.head == Seq(0));
    let (again, created) = log.create(&new_stream(), UnixMs(9)).unwrap();
    assert!(!created);
    assert_eq!(again, state);
}

#[test]
fn another_run_of_a_relay_gets_a_higher_epoch() {
    let log = acquired();
    let epoch = |id: &str, incarnation| {
        log.acquire_epoch(&relay(id), incarnation)
            .map(|taken| taken.epoch.0)
    };
    assert_eq!(epoch("a", run(1)).unwrap(), 1);
    assert_eq!(epoch("a", run(2)).unwrap(), 2);
    assert_eq!(
        refusal(epoch("b", run(1))),
        Refusal::NotLeader { relay: relay("a") }
    );
}

#[test]
fn a_replaced_relay_commits_nothing_more() {
    let log = acquired();
    log.commit(&relay("a"), &batch(1, 0, records(1, 0, 2))).unwrap();
    assert!(log.open_session(&session(1, "b", 0), Some(&relay("a"))).unwrap());
    // Until the new relay acquires the stream, the old one goes on.
    log.commit(&relay("a"), &batch(1, 2, records(1, 2, 1))).unwrap();
    let taken = log.acquire_epoch(&relay("b"), run(1)).unwrap();
    assert_eq!((taken.epoch, taken.head), (Epoch(2), Seq(3)));
    let late = log.commit(&relay("a"), &batch(1, 3, records(1, 3, 1)));
    assert_eq!(
        refusal(late),
        Refusal::StaleEpoch {
            given: Epoch(1),
            epoch: Epoch(2)
        }
    );
    let thief = log.commit(&relay("a"), &batch(2, 3, records(1, 3, 1)));
    assert_eq!(refusal(thief), Refusal::NotLeader { relay: relay("b") });
    assert_eq!(
        refusal(log.acquire_epoch(&relay("a"), run(1))),
        Refusal::NotLeader { relay: relay("b") }
    );
}

#[test]
fn no_relay_leads_a_stream_of_the_edge_itself() {
    let log = StreamLog::in_memory();
    let audit = NewStream {
        name: "_audit".parse().unwrap(),
        ..new_stream()
    };
    log.create(&audit, UnixMs(1)).unwrap();
    let edge = RelayId::edge();
    assert_eq!(
        refusal(log.acquire_epoch(&relay("a"), run(1))),
        Refusal::NotLeader { relay: edge }
    );
}
