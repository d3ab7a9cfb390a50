use super::super::state::MAX_MEMBERS;
use super::*;

#[test]
fn changed_settings_are_listed_again() {
    let log = acquired();
    let before = log.state().unwrap().settings;
    log.step(|log| log.mark_listed(before)).unwrap();
    assert!(!log.has_work().unwrap());
    let change = SettingsChange {
        read: Some(ReadAccess::Private),
        ..SettingsChange::default()
    };
    let after = log.step(|log| log.change_settings(&change)).unwrap();
    assert_eq!(
        (after.settings.read, after.settings.mode, after.listed),
        (ReadAccess::Private, Mode::Root, false)
    );
    // The write that was under way had the old settings.
    log.step(|log| log.mark_listed(before)).unwrap();
    assert!(
        log.has_work().unwrap(),
        "the new settings are not in the database"
    );
    log.step(|log| log.mark_listed(after.settings)).unwrap();
    assert!(!log.has_work().unwrap());
}

#[test]
fn anchors_become_shared_once_and_stay_so() {
    let log = StreamLog::in_memory();
    let mut new = new_stream();
    new.settings.anchor = Anchoring::Own;
    log.step(|log| log.create(&new, UnixMs(1_000))).unwrap();
    let change = |mode: Option<Mode>, anchor| SettingsChange {
        mode,
        anchor,
        ..SettingsChange::default()
    };
    let step = |change: SettingsChange| log.step(|log| log.change_settings(&change));
    assert_eq!(
        step(change(None, Some(Anchoring::Shared)))
            .unwrap()
            .settings
            .anchor,
        Anchoring::Shared
    );
    let needs_own = Refusal::Settings(SettingsConflict::NeedsOwn("mode"));
    assert_eq!(refusal(step(change(Some(Mode::Hash), None))), needs_own);
    let stays = Refusal::Settings(SettingsConflict::StaysShared);
    assert_eq!(refusal(step(change(None, Some(Anchoring::Own)))), stays);
    assert_eq!(log.state().unwrap().settings.anchor, Anchoring::Shared);
}

#[test]
fn a_member_has_its_rights_until_they_are_taken_away() {
    let log = acquired();
    let (member, rights) = (Address::repeat_byte(5), Rights::of(&[Right::Write]));
    let given = |log: &StreamLog<Memory>| log.access(Some(member)).unwrap().member;
    assert_eq!(given(&log), Rights::NONE);
    log.step(|log| log.put_member(member, rights)).unwrap();
    assert_eq!(given(&log), rights);
    assert_eq!(log.access(None).unwrap().member, Rights::NONE);
    log.step(|log| log.drop_member(member)).unwrap();
    assert_eq!(given(&log), Rights::NONE);
    let again = log.step(|log| log.drop_member(member));
    assert!(matches!(again, Err(LogError::Refused(Refusal::NoSuchMember(_)))));
}

#[test]
fn members_are_bounded() {
    let log = acquired();
    let member =
        |index: usize| Address::from_word(alloy_primitives::B256::from(alloy_primitives::U256::from(index)));
    for index in 0..MAX_MEMBERS {
        log.put_member(member(index), Rights::ALL).unwrap();
    }
    let surplus = log.step(|log| log.put_member(member(MAX_MEMBERS), Rights::ALL));
    assert!(matches!(surplus, Err(LogError::Refused(Refusal::TooManyMembers))));
    log.step(|log| log.put_member(member(0), Rights::NONE)).unwrap();
}
