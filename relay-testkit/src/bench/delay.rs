//! A way of UDP that takes its time: every datagram arrives so much later, in both directions and in order.

use anyhow::Result;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// More than any datagram has.
const MAX_DATAGRAM: usize = 65_536;

type Sent = (Instant, Vec<u8>);

/// Forwards datagrams to an address, in a thread of its own, until it is dropped.
pub(super) struct Delay {
    address: SocketAddr,
    _runs: oneshot::Sender<()>,
}

impl Delay {
    /// A way to `target` on which each datagram takes so long.
    pub(super) fn to(target: SocketAddr, delay: Duration) -> Result<Self> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let (runs, dropped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new().name("delay".into()).spawn(move || {
            let ended = runtime.block_on(async {
                tokio::select! {
                    ended = forward(socket, target, delay) => ended,
                    _ = dropped => Ok(()),
                }
            });
            if let Err(failed) = ended {
                eprintln!("the delayed way failed: {failed}");
            }
        })?;
        Ok(Self { address, _runs: runs })
    }

    /// Where it begins.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Each sender has a socket of its own at the other end, so that answers find their way back.
async fn forward(socket: std::net::UdpSocket, target: SocketAddr, delay: Duration) -> Result<()> {
    let socket = Arc::new(UdpSocket::from_std(socket)?);
    let mut senders: HashMap<SocketAddr, mpsc::UnboundedSender<Sent>> = HashMap::new();
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let (length, source) = socket.recv_from(&mut buffer).await?;
        let datagram = buffer.get(..length).unwrap_or_default().to_vec();
        let sender = match senders.get(&source) {
            Some(sender) => sender,
            None => {
                let far = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
                tokio::spawn(back((far.clone(), socket.clone()), source, delay));
                let sender = late(far, target);
                &*senders.entry(source).or_insert(sender)
            }
        };
        let _ = sender.send((Instant::now() + delay, datagram));
    }
}

/// Carries what comes back.
async fn back((far, near): (Arc<UdpSocket>, Arc<UdpSocket>), to: SocketAddr, delay: Duration) {
    let sender = late(near, to);
    let mut buffer = vec![0; MAX_DATAGRAM];
    // The end of the far socket is the end of the run.
    while let Ok((length, _)) = far.recv_from(&mut buffer).await {
        let datagram = buffer.get(..length).unwrap_or_default().to_vec();
        if sender.send((Instant::now() + delay, datagram)).is_err() {
            return;
        }
    }
}

/// Sends each datagram at its time.
fn late(socket: Arc<UdpSocket>, to: SocketAddr) -> mpsc::UnboundedSender<Sent> {
    let (sender, mut queue) = mpsc::unbounded_channel::<Sent>();
    tokio::spawn(async move {
        while let Some((at, datagram)) = queue.recv().await {
            sleep_until(at).await;
            // UDP promises nothing.
            let _ = socket.send_to(&datagram, to).await;
        }
    });
    sender
}
