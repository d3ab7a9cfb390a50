//! What one relay can cost another.

use super::*;

const SHORT: Duration = Duration::from_millis(300);

const SHORT_STALL: Times = Times {
    stall: SHORT,
    ..PATIENT
};

#[tokio::test]
async fn a_stranger_that_says_nothing_is_sent_away() {
    let times = Times {
        ticket: SHORT,
        ..PATIENT
    };
    let leader = Relay::start_with("11", times);
    let stranger = Stranger::new();
    let connection = stranger.connect(&leader).await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&[0, 0]).await.unwrap();
    assert_eq!(closed(&connection).await, 3);
    leader
        .until("nothing is kept", |leader| leader.count("link_connections") == 0)
        .await;
}

#[tokio::test]
async fn who_has_shown_a_ticket_stays_when_the_time_for_it_is_over() {
    let times = Times {
        ticket: Duration::from_secs(3),
        ..PATIENT
    };
    let mut leader = Relay::start_with("11", times);
    let (follower, silent) = (Stranger::new(), Stranger::new());
    let (connection, _send, _receive) = follower.follow(&leader).await;
    let (_, _down) = leader.opened().await;
    // Whoever came later and says nothing is sent away later.
    let stranger = silent.connect(&leader).await.unwrap();
    timeout(PATIENCE, stranger.closed()).await.unwrap();
    assert!(connection.close_reason().is_none());
    assert_eq!(leader.count("links_followers"), 1);
}

#[tokio::test]
async fn a_stranger_has_few_streams() {
    let leader = Relay::start("11");
    let stranger = Stranger::new();
    let connection = stranger.connect(&leader).await.unwrap();
    let mut open = Vec::new();
    for _ in 0..MAX_UNPROVEN_LINKS {
        open.push(timeout(PATIENCE, connection.open_bi()).await.unwrap().unwrap());
    }
    let one_more = timeout(Duration::from_millis(200), connection.open_bi()).await;
    assert!(one_more.is_err(), "there is no credit for another stream");
    let one_way = timeout(Duration::from_millis(200), connection.open_uni()).await;
    assert!(!matches!(one_way, Ok(Ok(_))), "nor for one of one way");
    assert_eq!(connection.max_datagram_size(), None);
}

#[tokio::test]
async fn strangers_of_one_network_have_few_connections() {
    let leader = Relay::start("11");
    let stranger = Stranger::new();
    let mut open = Vec::new();
    for _ in 0..MAX_NETWORK_UNPROVEN {
        open.push(stranger.connect(&leader).await.unwrap());
    }
    assert!(
        stranger.connect(&leader).await.is_err(),
        "there is no place for another one"
    );
    open.iter()
        .for_each(|connection| connection.close(0_u8.into(), b""));
    leader
        .until("all are gone", |leader| leader.count("link_connections") == 0)
        .await;
    assert!(stranger.connect(&leader).await.is_ok());
}

#[tokio::test]
async fn half_a_frame_ends_the_link() {
    let mut leader = Relay::start_with("11", SHORT_STALL);
    let stranger = Stranger::new();
    let (_connection, mut send, mut receive) = stranger.follow(&leader).await;
    let (number, _down) = leader.opened().await;
    send.write_all(&[0, 0, 0, 9, 0x82]).await.unwrap();
    assert_eq!(leader.lost().await, number);
    assert_eq!(reset(&mut receive).await, 1);
}

#[tokio::test]
async fn a_long_or_malformed_frame_ends_the_link() {
    for bytes in [&[0xFF, 0xFF, 0xFF, 0xFF][..], &[0, 0, 0, 1, 0xFF]] {
        let mut leader = Relay::start("11");
        let stranger = Stranger::new();
        let (_connection, mut send, mut receive) = stranger.follow(&leader).await;
        let (number, _down) = leader.opened().await;
        send.write_all(bytes).await.unwrap();
        assert_eq!(leader.lost().await, number);
        assert_eq!(reset(&mut receive).await, 1);
    }
}

#[tokio::test]
async fn endless_frames_wait_at_the_sender() {
    let mut leader = Relay::start("11");
    let stranger = Stranger::new();
    let (_connection, mut send, _receive) = stranger.follow(&leader).await;
    let (_, _down) = leader.opened().await;
    let frames = framed(&LinkFrame::Up(UpFrame::Leave(1)), "").repeat(10_000);
    let mut sent = 0;
    // The shard takes nothing: the time-out is how a sender that waits is seen.
    while timeout(Duration::from_millis(500), send.write_all(&frames))
        .await
        .is_ok()
    {
        sent += frames.len();
        assert!(
            sent < 32 * 1024 * 1024,
            "more was taken than the windows of both ends and the shard's queue"
        );
    }
}

#[tokio::test]
async fn a_follower_that_never_reads_costs_a_bounded_queue() {
    let mut leader = Relay::start("11");
    let stranger = Stranger::new();
    let (_connection, _send, _receive) = stranger.follow(&leader).await;
    let (_, down) = leader.opened().await;
    let mut sent = 0;
    while down.send(message(sent, 60_000)).is_ok() {
        sent += 1;
        tokio::task::yield_now().await;
        assert!(sent * 60_000 < 64 * 1024 * 1024, "{sent} messages wait");
    }
}

#[tokio::test]
async fn a_follower_that_takes_nothing_for_long_is_given_up() {
    let mut leader = Relay::start_with("11", SHORT_STALL);
    let stranger = Stranger::new();
    let (_connection, _send, _receive) = stranger.follow(&leader).await;
    let (number, down) = leader.opened().await;
    (0..200).for_each(|seq| {
        let _ = down.send(message(seq, 60_000));
    });
    assert_eq!(leader.lost().await, number);
}

#[tokio::test]
async fn a_link_takes_no_second_follow() {
    let mut leader = Relay::start("11");
    let stranger = Stranger::new();
    let (_connection, mut send, _receive) = stranger.follow(&leader).await;
    let (number, _down) = leader.opened().await;
    let ticket = leader.grant_to(stranger.fingerprint).ticket;
    send.write_all(&framed(&follow(), &ticket)).await.unwrap();
    assert_eq!(leader.lost().await, number);
}

#[test]
fn a_frame_is_behind_its_length() {
    let bytes = framed(&LinkFrame::Up(UpFrame::Unfollow), "");
    assert_eq!(Bytes::from(bytes), Bytes::from_static(&[0, 0, 0, 2, 0x81, 7]));
}
