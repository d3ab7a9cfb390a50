//! Relays whose processes end without a goodbye: what is sent to them is refused, or nothing comes back.

use super::*;
use std::net::SocketAddr;
use tokio::sync::oneshot;

/// Longer than a process stalls, so that nobody is lost before the test wants it.
const SHORT_SILENCE: Times = Times {
    silence: Duration::from_secs(3),
    ..PATIENT
};

/// Nothing but a closed port ends a link, or the attempt to open one.
const ONLY_PORTS: Times = Times {
    connect: PATIENCE,
    ..PATIENT
};

/// A wire to a relay, in place of the relay's own address. When it is cut, its port is closed as that of a process that was killed.
struct Wire {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
    mute: oneshot::Sender<()>,
}

impl Wire {
    async fn to(relay: SocketAddr) -> Self {
        let near = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let far = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = near.local_addr().unwrap();
        let (mute, mut muted) = oneshot::channel();
        let task = tokio::spawn(async move {
            let (mut up, mut down) = ([0; 2_048], [0; 2_048]);
            let mut client = None;
            loop {
                tokio::select! {
                    Ok(()) = &mut muted => break,
                    received = near.recv_from(&mut up) => {
                        let (length, from) = received.unwrap();
                        // What is no packet of a connection comes from who tries the port.
                        if length > 1 {
                            client = Some(from);
                        }
                        far.send_to(&up[..length], relay).await.unwrap();
                    }
                    received = far.recv_from(&mut down) => {
                        let (length, _) = received.unwrap();
                        if let Some(client) = client {
                            near.send_to(&down[..length], client).await.unwrap();
                        }
                    }
                }
            }
            std::future::pending::<()>().await;
        });
        Self { address, task, mute }
    }

    async fn cut(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// Carries nothing more, and leaves the port open.
    fn mute(self) {
        self.mute.send(()).unwrap();
    }
}

/// What a follower is granted that reaches the leader over a wire.
async fn wired(leader: &Relay, follower: &Relay) -> (Wire, FollowGrant) {
    let wire = Wire::to(leader.reach.addresses[0]).await;
    let mut grant = leader.grant_to(follower.fingerprint);
    grant.link.addresses = vec![wire.address];
    (wire, grant)
}

#[tokio::test]
async fn a_leader_whose_port_is_closed_is_known_to_be_gone() {
    let (mut leader, mut follower) = (Relay::start("11"), Relay::start_with("22", ONLY_PORTS));
    let (wire, grant) = wired(&leader, &follower).await;
    let _up = follower.dial(1, grant.clone());
    let (_, _down) = leader.opened().await;
    wire.cut().await;
    assert_eq!(follower.lost_how().await, (1, Loss::PortClosed));
    let _up = follower.dial(2, grant);
    assert_eq!(
        follower.lost_how().await,
        (2, Loss::PortClosed),
        "and so it is when it is to be reached"
    );
}

#[tokio::test]
async fn a_leader_that_is_only_silent_is_not_known_to_be_gone() {
    let (mut leader, mut follower) = (Relay::start("11"), Relay::start_with("22", SHORT_SILENCE));
    let (wire, grant) = wired(&leader, &follower).await;
    let _up = follower.dial(1, grant);
    let (_, _down) = leader.opened().await;
    wire.mute();
    assert_eq!(follower.lost_how().await, (1, Loss::Failed));
}

#[tokio::test]
async fn a_port_that_only_the_network_gave_is_not_tried() {
    let (mut leader, follower) = (Relay::start("11"), Relay::start_with("22", SHORT_SILENCE));
    let (wire, grant) = wired(&leader, &follower).await;
    let _up = follower.dial(1, grant);
    let (number, _down) = leader.opened().await;
    // The leader sees the wire's far end, which the edge has not named.
    wire.cut().await;
    assert_eq!(leader.lost_how().await, (number, Loss::Failed));
}
