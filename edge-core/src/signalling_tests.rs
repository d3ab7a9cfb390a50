use super::*;
use streamchain_protocol::time::UnixMs;

const NOW: u64 = 1_700_000_000_000;

fn peer(number: u8) -> Peer {
    let (session, author) = (SessionId([number; 8]), Address::repeat_byte(number));
    Peer { session, author }
}

/// What a look finds, as `from:signal`, and the number of the last.
fn read(mailboxes: &mut Mailboxes, owner: u8, after: u64, now: UnixMs) -> (Vec<String>, u64) {
    let looked = mailboxes.look("", peer(owner), after, now).ok().unwrap();
    let last = looked.signals.last().map_or(after, |signal| signal.number);
    let text = |signal: &Signal| format!("{}:{}", signal.from.session.0[0], signal.signal);
    (looked.signals.iter().map(text).collect(), last)
}

/// Two sessions that look for peers.
fn two() -> Mailboxes {
    let mut mailboxes = Mailboxes::default();
    read(&mut mailboxes, 1, 0, UnixMs(NOW));
    read(&mut mailboxes, 2, 0, UnixMs(NOW));
    mailboxes
}

#[test]
fn sessions_find_each_other_and_never_themselves() {
    let mut mailboxes = two();
    assert_eq!(
        mailboxes
            .look("", peer(1), 0, UnixMs(NOW))
            .map(|looked| looked.peers),
        Ok(vec![peer(2)])
    );
    assert_eq!(
        mailboxes
            .look("", peer(2), 0, UnixMs(NOW))
            .map(|looked| looked.peers),
        Ok(vec![peer(1)])
    );
}

#[test]
fn a_signal_is_found_until_its_reader_says_that_it_has_it() {
    let mut mailboxes = two();
    assert_eq!(
        mailboxes.post(peer(1), peer(2).session, "offer".into(), UnixMs(NOW)),
        Ok(())
    );
    assert_eq!(
        mailboxes.post(peer(1), peer(2).session, "more".into(), UnixMs(NOW)),
        Ok(())
    );
    let (signals, last) = read(&mut mailboxes, 2, 0, UnixMs(NOW));
    assert_eq!(signals, ["1:offer", "1:more"]);
    assert_eq!(read(&mut mailboxes, 2, last - 1, UnixMs(NOW)).0, ["1:more"]);
    assert!(read(&mut mailboxes, 2, last, UnixMs(NOW)).0.is_empty());
    assert!(
        read(&mut mailboxes, 1, 0, UnixMs(NOW)).0.is_empty(),
        "nobody else's mailbox has it"
    );
}

#[test]
fn numbers_go_on_when_the_mailboxes_were_lost() {
    let mut mailboxes = two();
    assert_eq!(
        mailboxes.post(peer(1), peer(2).session, "old".into(), UnixMs(NOW)),
        Ok(())
    );
    let (_, last) = read(&mut mailboxes, 2, 0, UnixMs(NOW));
    let mut mailboxes = Mailboxes::default();
    read(&mut mailboxes, 2, last, UnixMs(NOW + 1_000));
    assert_eq!(
        mailboxes.post(peer(1), peer(2).session, "new".into(), UnixMs(NOW + 1_000)),
        Ok(())
    );
    assert_eq!(read(&mut mailboxes, 2, last, UnixMs(NOW + 1_000)).0, ["1:new"]);
}

#[test]
fn who_stops_looking_is_gone_and_gets_nothing() {
    let mut mailboxes = two();
    read(&mut mailboxes, 1, 0, UnixMs(NOW + PRESENT_MS - 1));
    let post = mailboxes.post(peer(1), peer(2).session, "offer".into(), UnixMs(NOW + PRESENT_MS));
    assert_eq!(post, Err(MailboxError::Absent));
    assert_eq!(
        mailboxes
            .look("", peer(1), 0, UnixMs(NOW + PRESENT_MS))
            .map(|looked| looked.peers),
        Ok(vec![])
    );
}

#[test]
fn a_session_that_ended_is_gone_at_once() {
    let mut mailboxes = two();
    mailboxes.leave(peer(2).session);
    let post = mailboxes.post(peer(1), peer(2).session, "offer".into(), UnixMs(NOW));
    assert_eq!(post, Err(MailboxError::Absent));
}

#[test]
fn a_signal_expires() {
    let mut mailboxes = two();
    assert_eq!(
        mailboxes.post(peer(1), peer(2).session, "offer".into(), UnixMs(NOW)),
        Ok(())
    );
    read(&mut mailboxes, 2, u64::MAX, UnixMs(NOW - 1)); // present, and nothing read
    assert_eq!(
        mailboxes.post(peer(1), peer(2).session, "offer".into(), UnixMs(NOW)),
        Ok(())
    );
    mailboxes
        .boxes
        .iter_mut()
        .for_each(|mailbox| mailbox.looked = UnixMs(NOW + SIGNAL_LIFE_MS));
    assert!(
        read(&mut mailboxes, 2, 0, UnixMs(NOW + SIGNAL_LIFE_MS))
            .0
            .is_empty()
    );
}

#[test]
fn a_mailbox_is_bounded_for_each_sender_and_in_all() {
    let mut mailboxes = two();
    for _ in 0..SIGNALS_PER_SENDER {
        assert_eq!(
            mailboxes.post(peer(1), peer(2).session, "x".into(), UnixMs(NOW)),
            Ok(())
        );
    }
    assert_eq!(
        mailboxes.post(peer(1), peer(2).session, "x".into(), UnixMs(NOW)),
        Err(MailboxError::Full)
    );
    assert_eq!(
        mailboxes.post(peer(3), peer(2).session, "x".into(), UnixMs(NOW)),
        Ok(())
    );
    for sender in 4..40 {
        let _ = mailboxes.post(peer(sender), peer(2).session, "x".into(), UnixMs(NOW));
    }
    assert_eq!(
        read(&mut mailboxes, 2, 0, UnixMs(NOW)).0.len(),
        SIGNALS_PER_MAILBOX
    );
}

#[test]
fn sizes_and_crowds_are_bounded() {
    let mut mailboxes = two();
    for signal in [String::new(), "x".repeat(MAX_SIGNAL_BYTES + 1)] {
        assert_eq!(
            mailboxes.post(peer(1), peer(2).session, signal, UnixMs(NOW)),
            Err(MailboxError::Size)
        );
    }
    let crowd = |number: usize| Peer {
        session: SessionId((number as u64).to_be_bytes()),
        author: Address::ZERO,
    };
    let outcomes: Vec<_> = (0..MAX_MAILBOXES)
        .map(|n| mailboxes.look(&n.to_string(), crowd(n), 0, UnixMs(NOW)))
        .collect();
    let full = outcomes
        .iter()
        .filter(|outcome| **outcome == Err(MailboxError::Full));
    assert_eq!(full.count(), 2, "two were there before");
    let peers = mailboxes
        .look("", peer(1), 0, UnixMs(NOW))
        .map(|looked| looked.peers.len());
    assert_eq!(peers, Ok(PEERS_TOLD));
}

#[test]
fn whose_rights_were_withdrawn_is_absent_until_it_looks_again() {
    let mut mailboxes = two();
    let both = [peer(1).session, peer(2).session];
    assert_eq!(mailboxes.absent(&both), []);
    mailboxes.withdraw(Some(peer(2).author));
    assert_eq!(mailboxes.absent(&both), [peer(2).session]);
    read(&mut mailboxes, 2, 0, UnixMs(NOW));
    assert_eq!(mailboxes.absent(&both), []);
    mailboxes.withdraw(None);
    assert_eq!(mailboxes.absent(&both), both);
}

#[test]
fn one_network_never_has_all_mailboxes() {
    let mut mailboxes = Mailboxes::default();
    let owner = |number: usize| Peer {
        session: SessionId((number as u64).to_be_bytes()),
        author: Address::left_padding_from(&(number as u64).to_be_bytes()),
    };
    let taken = (0..MAX_MAILBOXES)
        .filter(|number| mailboxes.look("greedy", owner(*number), 0, UnixMs(NOW)).is_ok())
        .count();
    assert_eq!(taken, MAX_NETWORK_MAILBOXES);
    assert!(
        mailboxes
            .look("another", owner(MAX_MAILBOXES), 0, UnixMs(NOW))
            .is_ok()
    );
    assert!(
        mailboxes.look("greedy", owner(0), 0, UnixMs(NOW)).is_ok(),
        "its own"
    );
}
