//! Rights are checked in the step that reads, and a batch's answer names whose rights are over.

use super::*;
use proptest::prelude::*;
use streamchain_protocol::stream_settings::WriteAccess;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::Withdrawal;

fn reader(account: Option<u8>, limit: &[Right]) -> Reader {
    Reader {
        account: account.map(Address::repeat_byte),
        operator: false,
        limit: Rights::of(limit),
    }
}

fn set_read(log: &StreamLog<Memory>, read: ReadAccess) {
    let change = SettingsChange {
        read: Some(read),
        ..SettingsChange::default()
    };
    log.step(|log| log.change_settings(&change)).unwrap();
}

#[test]
fn what_was_opened_to_all_is_closed_at_once() {
    let log = acquired();
    let cursor = Cursor {
        event: 0,
        seq: Seq(0),
    };
    let (nobody, guest) = (reader(None, &[Right::Read]), reader(Some(9), &[Right::Read]));
    assert!(log.news(&nobody, cursor, 100).is_ok() && log.tail(&guest, Seq(0), 100).is_ok());
    set_read(&log, ReadAccess::Private);
    for (who, has_credentials) in [(nobody, false), (guest, true)] {
        let refused = Refusal::MayNotRead {
            has_credentials,
            is_hidden: true,
        };
        assert_eq!(refusal(log.news(&who, cursor, 100)), refused);
        assert_eq!(refusal(log.tail(&who, Seq(0), 100)), refused);
    }
    assert!(log.news(&owner(), cursor, 100).is_ok());
    let narrow = reader(Some(7), &[Right::Write]);
    assert!(
        log.news(&narrow, cursor, 100).is_err(),
        "the credentials are narrower"
    );
    let operator = Reader {
        operator: true,
        ..guest
    };
    assert!(log.tail(&operator, Seq(0), 100).is_ok());
}

#[test]
fn a_batchs_answer_names_withdrawals_until_the_next_batch() {
    let log = acquired();
    let commit = |first: u64| {
        let batch = batch(1, first, records(1, first, 1));
        log.step(|log| log.commit(&relay("a"), &batch)).unwrap().withdrawn
    };
    assert_eq!(commit(0), []);
    let (one, time) = (Some(Address::repeat_byte(1)), UnixSec(5));
    log.step(|log| log.withdraw(&[one], time)).unwrap();
    let named = [Withdrawal {
        author: one,
        before: time,
    }];
    assert_eq!(commit(1), named);
    assert_eq!(commit(1), named, "the answer may be lost");
    log.step(|log| log.withdraw(&[None], UnixSec(6))).unwrap();
    let everybody = Withdrawal {
        author: None,
        before: UnixSec(6),
    };
    assert_eq!(commit(1), [named[0], everybody]);
    assert_eq!(commit(2), [], "the relay goes on, so it has the answer");
}

#[test]
fn too_many_withdrawals_become_one_of_everybody() {
    let log = acquired();
    for index in 0..=u8::MAX {
        let author = Some(Address::repeat_byte(index));
        log.step(|log| log.withdraw(&[author], UnixSec(index.into())))
            .unwrap();
    }
    let batch = batch(1, 0, records(1, 0, 1));
    let named = log.commit(&relay("a"), &batch).unwrap().withdrawn;
    assert!(named.len() <= 64, "{}", named.len());
    let is_named = |author: Address, second: u64| {
        named
            .iter()
            .any(|one| one.author.is_none_or(|of| of == author) && one.before >= UnixSec(second))
    };
    for index in 0..=u8::MAX {
        assert!(is_named(Address::repeat_byte(index), index.into()), "{index}");
    }
}

/// What may change between two questions of readers.
#[derive(Debug, Clone, Copy)]
enum Change {
    Read(ReadAccess),
    Put(u8, u8),
    Remove(u8),
    Message,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => Just(Change::Read(ReadAccess::Private)),
        1 => Just(Change::Read(ReadAccess::Public)),
        2 => (1..4u8, 0..8u8).prop_map(|(member, rights)| Change::Put(member, rights)),
        2 => (1..4u8).prop_map(Change::Remove),
        3 => Just(Change::Message),
    ]
}

proptest! {
    /// After every change each reader gets the messages exactly if a model of the rights lets it read.
    #[test]
    fn nothing_is_delivered_after_the_right_to_it_is_gone(changes in prop::collection::vec(change(), 1..40)) {
        let log = acquired();
        let mut members: [Rights; 4] = [Rights::NONE; 4];
        let (mut public, mut head) = (true, 0);
        for change in changes {
            match change {
                Change::Read(read) => {
                    set_read(&log, read);
                    public = read == ReadAccess::Public;
                }
                Change::Put(member, bits) => {
                    let rights = Rights::from_bits(bits);
                    log.step(|log| log.put_member(Address::repeat_byte(member), rights)).unwrap();
                    members[usize::from(member)] = rights;
                }
                Change::Remove(member) => {
                    let _ = log.step(|log| log.drop_member(Address::repeat_byte(member)));
                    members[usize::from(member)] = Rights::NONE;
                }
                Change::Message => {
                    log.step(|log| log.commit(&relay("a"), &batch(1, head, records(1, head, 1)))).unwrap();
                    head += 1;
                }
            }
            let cursor = Cursor { event: 0, seq: Seq(0) };
            for account in [None, Some(1), Some(2), Some(3), Some(9)] {
                let who = reader(account, &[Right::Read]);
                let member = account.and_then(|one| members.get(usize::from(one)));
                let may = public || member.is_some_and(|rights| rights.has(Right::Read));
                prop_assert_eq!(log.news(&who, cursor, 1 << 20).is_ok(), may);
                prop_assert_eq!(log.tail(&who, Seq(0), 1 << 20).is_ok(), may);
            }
        }
    }
}

#[test]
fn closing_for_writers_leaves_readers_their_right() {
    let log = acquired();
    let change = SettingsChange {
        write: Some(WriteAccess::Closed),
        ..SettingsChange::default()
    };
    log.step(|log| log.change_settings(&change)).unwrap();
    assert!(log.tail(&reader(None, &[Right::Read]), Seq(0), 100).is_ok());
}
