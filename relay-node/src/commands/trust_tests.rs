use super::*;

const HONEST: Address = Address::repeat_byte(0xc0);

fn file(text: &str) -> (tempfile::TempDir, TrustArgs) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verify.json");
    std::fs::write(&path, text).unwrap();
    let args = TrustArgs {
        config: Some(path),
        ..TrustArgs::default()
    };
    (folder, args)
}

#[test]
fn the_file_says_it_and_an_option_goes_before_it() {
    let text = format!(r#"{{"rpc":"http://file","chainId":5,"contract":"{HONEST}","owner":"{HONEST}"}}"#);
    let (_folder, mut args) = file(&text);
    let trust = args.resolve().unwrap();
    assert_eq!(
        (trust.rpc.as_str(), trust.contract, trust.chain_id, trust.owner),
        ("http://file", HONEST, Some(5), Some(HONEST))
    );
    args.owner = Some(Address::ZERO);
    args.rpc = Some("http://option".into());
    let trust = args.resolve().unwrap();
    assert_eq!(
        (trust.rpc.as_str(), trust.owner),
        ("http://option", Some(Address::ZERO))
    );
}

#[test]
fn what_is_missing_is_named() {
    let (_folder, mut args) = file("{}");
    args.rpc = Some("http://r".into());
    assert!(args.resolve().unwrap_err().contains("--contract"));
    args.contract = Some(HONEST);
    assert!(args.resolve().is_ok());
    args.rpc = None;
    assert!(args.resolve().unwrap_err().contains("--rpc"));
}

#[test]
fn a_file_that_is_missing_or_misspelt_is_refused() {
    let (_folder, args) = file(r#"{"Owner":"0x01"}"#);
    assert!(args.resolve().unwrap_err().contains("verify.json"));
    let args = TrustArgs {
        config: Some("/does/not/exist.json".into()),
        contract: Some(HONEST),
        rpc: Some("http://r".into()),
        ..TrustArgs::default()
    };
    assert!(args.resolve().unwrap_err().contains("/does/not/exist.json"));
}

#[test]
fn a_required_stream_does_not_say_whose_rounds_speak_of_it() {
    let (owner, operator) = (Address::repeat_byte(1), Address::repeat_byte(2));
    let (_folder, args) = file(&format!(r#"{{"rpc":"http://r","contract":"{HONEST}"}}"#));
    let nothing = args.resolve().unwrap();
    let by_owner = Trust {
        owner: Some(owner),
        ..nothing.clone()
    };
    let id: StreamRef = StreamId([7; 32]).to_string().parse().unwrap();
    for (trust, stream) in [(&by_owner, None), (&nothing, Some(&id))] {
        let question = trust.lacks_rounds(stream, owner, operator).unwrap();
        assert!(question.contains("--rounds-owner"), "{question}");
        assert_eq!(
            trust.lacks_rounds(stream, owner, owner),
            None,
            "the owner's own rounds"
        );
    }
    assert_eq!(
        nothing.lacks_rounds(None, owner, operator),
        None,
        "nothing is required"
    );

    let said = [
        Trust {
            rounds_owner: Some(operator),
            ..by_owner.clone()
        },
        Trust {
            anchorer: Some(HONEST),
            ..by_owner
        },
    ];
    for trust in said {
        assert_eq!(trust.lacks_rounds(Some(&id), owner, operator), None);
        assert_eq!(trust.open_about_rounds(owner, operator), None);
    }
    assert!(nothing.open_about_rounds(owner, operator).is_some());
}

#[test]
fn the_owner_of_the_rounds_can_be_required_by_the_file() {
    let (_folder, args) = file(&format!(
        r#"{{"rpc":"http://r","contract":"{HONEST}","roundsOwner":"{HONEST}"}}"#
    ));
    let trust = args.resolve().unwrap();
    assert_eq!(trust.refuses_rounds(HONEST), None);
    assert!(trust.refuses_rounds(Address::ZERO).unwrap().contains("required"));
}
