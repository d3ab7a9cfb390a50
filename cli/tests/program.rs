//! The program as a process: exit codes, pipes, and what it writes where.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use streamchain_protocol::wire::cbor::Writer;

/// An access token that must show up nowhere.
const TOKEN: &str = "sck_secret-of-this-test";

/// How many messages the stream of [`edge`] has.
const MESSAGES: u64 = 20_000;

fn streamchain(edge: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamchain"));
    command
        .env("STREAMCHAIN_EDGE", edge)
        .env("STREAMCHAIN_TOKEN", TOKEN)
        .stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(error)
    )
}

/// An address at which nothing listens any more.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// An edge that has the history of one stream, and refuses everything else. It runs until the test program ends.
fn edge() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut request, mut part) = (Vec::new(), [0; 4_096]);
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                match stream.read(&mut part) {
                    Ok(read) if read > 0 => request.extend_from_slice(&part[..read]),
                    _ => break,
                }
            }
            // A client that went away gets no answer.
            let _ = stream.write_all(&answer(&String::from_utf8_lossy(&request)));
        }
    });
    url
}

fn answer(request: &str) -> Vec<u8> {
    let from = request
        .split_once("/v1/streams/long/messages?from=")
        .and_then(|(_, rest)| rest.split('&').next()?.parse::<u64>().ok());
    let (status, headers, body) = match from {
        Some(from) => {
            let next = (from + 1_000).min(MESSAGES);
            let mut body = Vec::new();
            for seq in from..next {
                let payload = format!("{seq} {}", "x".repeat(40));
                let mut writer = Writer::new(&mut body);
                writer
                    .array(4)
                    .uint(seq)
                    .uint(1)
                    .bytes(&[1; 20])
                    .bytes(payload.as_bytes());
            }
            let headers = format!("streamchain-next: {next}\r\nstreamchain-head: {MESSAGES}\r\n");
            ("200 OK", headers, body)
        }
        None => {
            let problem =
                r#"{"type":"https://streamchain.dev/problems/no-such-stream","detail":"there is none"}"#;
            ("404 Not Found", String::new(), problem.as_bytes().to_vec())
        }
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
    [head.into_bytes(), body].concat()
}

#[test]
fn wrong_arguments_exit_with_2() {
    for arguments in [
        &["sub"][..],
        &["pub", "demo", "--no-such-option"],
        &["no-such-command"],
        &[
            "sub",
            "demo",
            "--owner",
            "0x1111111111111111111111111111111111111111",
        ],
        &["sub", "sensors.*", "--until", "3"],
        &["sub", "sensors.*", "--cursor", "sensors.cursor"],
    ] {
        let output = streamchain("http://127.0.0.1:1")
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let output = streamchain("no url").args(["status"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("expected the URL of an edge"),
        "{}",
        said(&output)
    );
}

#[test]
fn an_edge_that_nobody_reaches_exits_with_2() {
    let edge = nobody();
    for arguments in [
        &["status"][..],
        &["history", "demo"],
        &["sub", "demo", "--from", "0", "--patience", "0"],
        &["sub", "sensors.*", "--patience", "0"],
        &["tail", "demo", "--patience", "0"],
    ] {
        let output = streamchain(&edge).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
    }
    let mut publishing = streamchain(&edge);
    publishing
        .args(["pub", "demo", "--patience", "0"])
        .stdin(Stdio::piped());
    let mut child = publishing
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("1 are not known to be stored"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_no_of_the_edge_exits_with_1_and_shows_no_token() {
    let edge = edge();
    for arguments in [
        &["history", "none"][..],
        &["receipt", "none", "0"],
        &["status", "none"],
        &["sub", "none.*"],
        &["keys", "list"],
    ] {
        let output = streamchain(&edge).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains("there is none"));
        assert!(!said(&output).contains(TOKEN));
    }
    for arguments in [&["--help"][..], &["pub", "--help"], &["verify-stream", "--help"]] {
        let output = streamchain(&edge).args(arguments).output().unwrap();
        assert!(
            output.status.success() && !said(&output).contains(TOKEN),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_command_well() {
    let mut command = streamchain(&edge());
    let mut child = command
        .args(["history", "long"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"0 ");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(said(&output), "", "and says nothing");
}

#[test]
fn history_is_whole_and_bounded_by_its_options() {
    let edge = edge();
    let lines = |arguments: &[&str]| {
        let output = streamchain(&edge).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&["history", "long"]).len() as u64, MESSAGES);
    let some = lines(&["history", "long", "--from", "10", "--until", "12", "--json"]);
    assert_eq!(some.len(), 2);
    assert!(some[0].contains(r#""seq":10,"text":"10 x"#), "{}", some[0]);
}

#[test]
fn completions_are_made_for_three_shells() {
    for (shell, sign) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef streamchain"),
        ("fish", "complete -c streamchain"),
    ] {
        let output = streamchain("http://127.0.0.1:1")
            .args(["completions", shell])
            .output()
            .unwrap();
        assert!(output.status.success() && said(&output).contains(sign), "{shell}");
    }
}

#[test]
fn a_line_that_is_no_json_exits_with_2() {
    let mut command = streamchain(&nobody());
    command
        .args(["pub", "demo", "--json", "--patience", "0"])
        .stdin(Stdio::piped());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"no JSON\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("line 1: "), "{}", said(&output));
}
