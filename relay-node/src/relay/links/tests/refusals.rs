//! Who may not follow.

use super::*;

/// What a follower hears that shows this ticket: that the link is lost.
async fn is_refused(change: impl Fn(&Relay, &Relay, &mut FollowGrant)) {
    let (mut leader, mut follower) = (Relay::start("11"), Relay::start("22"));
    let mut grant = leader.grant_to(follower.fingerprint);
    change(&leader, &follower, &mut grant);
    let _up = follower.dial(1, grant);
    assert_eq!(follower.lost().await, 1);
    assert!(leader.events.try_recv().is_err(), "the shard hears nothing");
    assert_eq!(leader.count("links_opened"), 0);
}

fn signed(leader: &Relay, follower: [u8; 32], expires: UnixSec) -> String {
    let ticket = LinkTicket {
        follower: "follower".parse().unwrap(),
        fingerprint: follower,
        stream: STREAM.short(),
        epoch: Epoch(7),
        expires,
    };
    ticket.sign(&leader.key.link_key())
}

#[tokio::test]
async fn no_ticket() {
    is_refused(|_, _, grant| grant.ticket = String::new()).await;
}

#[tokio::test]
async fn a_ticket_of_another_leader() {
    is_refused(|_, follower, grant| {
        let key = follower.key.link_key();
        let ticket = LinkTicket::verify(
            &grant.ticket,
            &RelayKey::from_hex(&"11".repeat(32)).unwrap().link_key(),
            now_sec(),
        );
        grant.ticket = ticket.unwrap().sign(&key);
    })
    .await;
}

#[tokio::test]
async fn a_ticket_of_another_follower() {
    is_refused(|leader, _, grant| grant.ticket = signed(leader, [9; 32], now_sec().plus_s(60))).await;
}

#[tokio::test]
async fn a_ticket_that_has_expired() {
    is_refused(|leader, follower, grant| {
        grant.ticket = signed(leader, follower.fingerprint, UnixSec(now_sec().0 - 10));
    })
    .await;
}

#[tokio::test]
async fn a_leader_with_another_certificate() {
    is_refused(|_, _, grant| grant.link.fingerprint = format_fingerprint(&[9; 32])).await;
}

#[tokio::test]
async fn a_strangers_connection_ends_with_its_first_bad_ticket() {
    let leader = Relay::start("11");
    let stranger = Stranger::new();
    let connection = stranger.connect(&leader).await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&framed(&follow(), "ticket")).await.unwrap();
    assert_eq!(closed(&connection).await, 3);
    leader
        .until("it is counted", |leader| leader.count("links_refused") == 1)
        .await;
}

#[tokio::test]
async fn a_relays_other_links_outlive_a_bad_ticket() {
    let mut leader = Relay::start("11");
    let stranger = Stranger::new();
    let (connection, mut good, _answers) = stranger.follow(&leader).await;
    let (_, _down) = leader.opened().await;
    let (mut bad, mut refused) = connection.open_bi().await.unwrap();
    bad.write_all(&framed(&follow(), "ticket")).await.unwrap();
    assert_eq!(reset(&mut refused).await, 3);
    good.write_all(&framed(&LinkFrame::Up(UpFrame::Leave(5)), ""))
        .await
        .unwrap();
    let (_, frame) = leader.frame().await;
    assert!(matches!(frame, LinkFrame::Up(UpFrame::Leave(5))));
}

#[tokio::test]
async fn a_connection_of_another_protocol() {
    let leader = Relay::start("11");
    let quinn = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let connecting = quinn
        .connect_with(config, leader.reach.addresses[0], SERVER_NAME)
        .unwrap();
    assert!(timeout(PATIENCE, connecting).await.unwrap().is_err());
}
