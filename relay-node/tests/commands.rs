//! Commands of the program that end by themselves: what they print, and their exit codes.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test that cannot go on, and are shared by several test programs"
)]

use std::net::UdpSocket;
use std::process::Command;
use streamchain_protocol::auth::MasterSecret;

const MASTER: &str = "4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d";

fn relay_node() -> Command {
    Command::new(env!("CARGO_BIN_EXE_relay-node"))
}

#[test]
fn a_port_in_use_is_said_at_once() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let state = tempfile::tempdir().unwrap();
    let mut command = relay_node();
    command.args([
        "run",
        "--id",
        "local",
        "--edge",
        "http://127.0.0.1:1",
        "--listen",
        &listen,
        "--state",
    ]);
    let ended = command
        .arg(state.path())
        .env("STREAMCHAIN_RELAY_KEY", "00".repeat(32))
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains(&listen) && said.contains("another relay"), "{said}");
}

#[test]
fn the_printed_key_is_the_one_that_the_edge_derives() {
    let printed = relay_node()
        .args(["key", "--master", MASTER, "--id", "local"])
        .output()
        .unwrap();
    let master = MasterSecret::from_hex(MASTER).unwrap();
    let key = master.relay_key(&"local".parse().unwrap());
    assert_eq!(String::from_utf8_lossy(&printed.stdout).trim(), key.to_hex());
}

#[test]
fn verify_exits_with_1_for_no_receipt_and_with_2_if_unchecked() {
    let folder = tempfile::tempdir().unwrap();
    let verify = |text: &str| {
        let path = folder.path().join("receipt.json");
        std::fs::write(&path, text).unwrap();
        let mut command = relay_node();
        command
            .arg("verify")
            .arg(path)
            .args(["--rpc", "http://127.0.0.1:1"])
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!(verify(r#"{"type":"streamchain-receipt"}"#), Some(1));
    assert_eq!(verify("not JSON"), Some(2));
    let missing = relay_node()
        .args(["verify", "/does/not/exist", "--rpc", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(2));
}
