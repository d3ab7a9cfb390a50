//! Two relays that follow each other.

use super::*;

#[tokio::test]
async fn frames_go_both_ways_in_order_until_one_end_is_done() {
    let (mut leader, mut follower) = (Relay::start("11"), Relay::start("22"));
    let up = follower.dial(1, leader.grant_to(follower.fingerprint));
    let (number, down) = leader.opened().await;
    assert!(number >= crate::core::link::FIRST_ACCEPTED_LINK);
    (0..300).for_each(|seq| down.send(message(seq, 500)).unwrap());
    for seq in 0..300 {
        let (number, frame) = follower.frame().await;
        assert_eq!(
            (number, format!("{frame:?}")),
            (1, format!("{:?}", message(seq, 500)))
        );
    }
    (0..300).for_each(|publisher| up.send(LinkFrame::Up(UpFrame::Leave(publisher))).unwrap());
    up.send(LinkFrame::Up(UpFrame::Unfollow)).unwrap();
    drop(up);
    for publisher in 0..300 {
        let (at, frame) = leader.frame().await;
        assert_eq!(at, number);
        assert!(matches!(frame, LinkFrame::Up(UpFrame::Leave(left)) if left == publisher));
    }
    let (_, last) = leader.frame().await;
    assert!(matches!(last, LinkFrame::Up(UpFrame::Unfollow)));
    assert_eq!(leader.lost().await, number);
    assert_eq!(follower.lost().await, 1);
}

#[tokio::test]
async fn what_a_leaving_leader_says_last_arrives() {
    let (mut leader, mut follower) = (Relay::start("11"), Relay::start("22"));
    let _up = follower.dial(1, leader.grant_to(follower.fingerprint));
    let (_, down) = leader.opened().await;
    down.send(LinkFrame::Down(DownFrame::Ended(Ended::Gone))).unwrap();
    drop(down);
    let (_, last) = follower.frame().await;
    assert!(matches!(last, LinkFrame::Down(DownFrame::Ended(Ended::Gone))));
}

#[tokio::test]
async fn two_relays_share_one_connection_for_both_ways() {
    let (mut one, mut other) = (Relay::start("11"), Relay::start("22"));
    let _up = other.dial(1, one.grant_to(other.fingerprint));
    let (_, _down) = one.opened().await;
    let _up = one.dial(1, other.grant_to(one.fingerprint));
    let (_, _down) = other.opened().await;
    for relay in [&one, &other] {
        assert_eq!(relay.count("link_connections"), 1);
        assert_eq!(
            (relay.count("links_followed"), relay.count("links_followers")),
            (1, 1)
        );
    }
}

#[tokio::test]
async fn links_opened_together_wait_for_one_connection() {
    let (mut leader, follower) = (Relay::start("11"), Relay::start("22"));
    let other = |stream: u8| {
        let mut grant = leader.grant_to(follower.fingerprint);
        let mut ticket = LinkTicket::verify(&grant.ticket, &leader.key.link_key(), now_sec()).unwrap();
        ticket.stream = ShortId([stream; 20]);
        grant.ticket = ticket.sign(&leader.key.link_key());
        grant
    };
    let _up: Vec<_> = (0..50)
        .map(|stream| follower.dial(stream, other(stream as u8)))
        .collect();
    let mut downs = Vec::new();
    for _ in 0..50 {
        match leader.event().await {
            LinkEvent::Opened { sender, .. } => downs.push(sender),
            _ => panic!("no link has begun"),
        }
    }
    assert_eq!(leader.count("link_connections"), 1);
}

#[tokio::test]
async fn a_leader_that_is_gone_is_found_out() {
    let (mut leader, mut follower) = (Relay::start("11"), Relay::start("22"));
    let grant = leader.grant_to(follower.fingerprint);
    let _up = follower.dial(1, grant.clone());
    let (_, _down) = leader.opened().await;
    leader._endpoint.close().await;
    assert_eq!(follower.lost().await, 1);
    drop(leader);
    let _up = follower.dial(2, grant);
    assert_eq!(follower.lost().await, 2, "and not reached again");
    assert_eq!(follower.count("links_failed"), 1);
}

#[tokio::test]
async fn a_second_link_of_a_stream_takes_the_place_of_the_first() {
    let (mut leader, follower) = (Relay::start("11"), Relay::start("22"));
    let _first = follower.dial(1, leader.grant_to(follower.fingerprint));
    let (first, _down) = leader.opened().await;
    let _second = follower.dial(2, leader.grant_to(follower.fingerprint));
    let (mut lost, mut opened) = (None, None);
    while lost.is_none() || opened.is_none() {
        match leader.event().await {
            LinkEvent::Lost { number, .. } => lost = Some(number),
            LinkEvent::Opened { number, sender, .. } => opened = Some((number, sender)),
            LinkEvent::Frame { .. } => panic!("nothing was sent"),
        }
    }
    assert_eq!(lost, Some(first));
    assert_ne!(opened.unwrap().0, first);
}
