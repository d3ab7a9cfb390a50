//! `relay-node health`: whether the relay on this machine works, for container engines and service managers, which can run this
//! program where nothing else is installed.

use anyhow::{Context, Result, bail};
use clap::Args;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long connecting, asking and each read may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Longest answer that is read, bytes: the relay's own is below 200.
const MAX_ANSWER_BYTES: u64 = 4 * 1024;

/// What the help text of the command ends with.
pub(crate) const HEALTH_EXAMPLES: &str = "\
EXAMPLE
    relay-node health --metrics-listen 127.0.0.1:9100

Use this as the health check of a container or a service manager, where no other program is installed. It asks the relay on
this machine, which was started with --metrics-listen, and prints what it says.";

/// `relay-node health`
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// The address that the relay was given as --metrics-listen
    #[arg(
        long,
        env = "STREAMCHAIN_METRICS_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9100"
    )]
    pub metrics_listen: SocketAddr,
}

/// Succeeds if the relay answers that it is registered with the edge; otherwise fails with what it says.
pub(crate) fn run(args: &HealthArgs) -> Result<()> {
    let address = reachable(args.metrics_listen);
    let answer = ask(address).with_context(|| format!("the relay does not answer at {address}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
    let said = body.trim();
    if !head.starts_with("HTTP/1.1 200 ") {
        let line = head.lines().next().unwrap_or_default();
        bail!("{}", if said.is_empty() { line } else { said });
    }
    println!("{said}");
    Ok(())
}

/// An address that a client can connect to: a server that listens on all addresses is reached on the loopback interface.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // In one piece: a server that has its answer after the first part would reset the connection over the rest.
    let request = format!("GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// What the command says about a relay that gives this answer.
    fn told(answer: &'static str) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let metrics_listen = listener.local_addr().unwrap();
        let relay = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            assert!(request.starts_with(b"GET /health HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let result = run(&HealthArgs { metrics_listen });
        relay.join().unwrap();
        result
    }

    #[test]
    fn a_registered_relay_is_healthy() {
        told("HTTP/1.1 200 OK\r\n\r\nregistered with the edge\n").unwrap();
    }

    #[test]
    fn another_answer_is_a_failure_with_its_words() {
        let refused =
            told("HTTP/1.1 503 Service Unavailable\r\n\r\nnot registered with the edge\n").unwrap_err();
        assert_eq!(refused.to_string(), "not registered with the edge");
        assert!(told("HTTP/1.1 404 Not Found\r\n\r\n").is_err());
        assert!(told("").is_err());
    }

    #[test]
    fn no_relay_is_a_failure_that_names_the_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let metrics_listen = listener.local_addr().unwrap();
        drop(listener);
        let refused = run(&HealthArgs { metrics_listen }).unwrap_err();
        assert!(
            refused.to_string().contains(&metrics_listen.to_string()),
            "{refused}"
        );
    }

    #[test]
    fn a_server_on_all_addresses_is_asked_on_loopback() {
        for (given, asked) in [
            ("0.0.0.0:9100", "127.0.0.1:9100"),
            ("[::]:9100", "[::1]:9100"),
            ("192.0.2.1:1", "192.0.2.1:1"),
        ] {
            assert_eq!(reachable(given.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
