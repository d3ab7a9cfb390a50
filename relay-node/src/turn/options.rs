//! The options of `relay-node run` for networks that let no UDP through.

use clap::Args;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;

/// The part of `relay-node run` for networks that let no UDP through.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Networks without UDP")]
pub struct TurnArgs {
    /// Accept no ICE-TCP connections. By default the relay accepts them on the TCP ports with the numbers of --listen
    #[arg(long, env = "STREAMCHAIN_NO_ICE_TCP")]
    pub no_ice_tcp: bool,
    /// Run no TURN server. (The server relays to this relay only, so it is no open relay and needs no further ports)
    #[arg(long, env = "STREAMCHAIN_NO_TURN", conflicts_with_all = ["turn_listen", "turn_tls_cert"])]
    pub no_turn: bool,
    /// UDP and TCP address of the TURN server [default: port 3478 of --listen]. May be given more than once
    #[arg(
        long,
        env = "STREAMCHAIN_TURN_LISTEN",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    pub turn_listen: Vec<SocketAddr>,
    /// TLS address of the TURN server [default: port 5349 of --listen]. Port 443 passes most firewalls
    #[arg(
        long,
        env = "STREAMCHAIN_TURN_TLS_LISTEN",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    #[arg(requires = "turn_tls_cert")]
    pub turn_tls_listen: Vec<SocketAddr>,
    /// File with the certificate chain for TURN over TLS, in PEM, from an authority that browsers trust
    #[arg(long, env = "STREAMCHAIN_TURN_TLS_CERT", value_name = "FILE")]
    #[arg(requires = "turn_tls_key", requires = "turn_tls_host")]
    pub turn_tls_cert: Option<PathBuf>,
    /// File with the certificate's private key, in PEM
    #[arg(
        long,
        env = "STREAMCHAIN_TURN_TLS_KEY",
        value_name = "FILE",
        requires = "turn_tls_cert"
    )]
    pub turn_tls_key: Option<PathBuf>,
    /// Host name of the certificate, to which clients connect. Add the port if a redirect changes it
    #[arg(
        long,
        env = "STREAMCHAIN_TURN_TLS_HOST",
        value_name = "NAME[:PORT]",
        requires = "turn_tls_cert"
    )]
    pub turn_tls_host: Option<TlsHost>,
}

/// Where clients reach TURN over TLS: `turn.example.org`, or `turn.example.org:443` in front of another port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsHost {
    name: String,
    port: Option<NonZeroU16>,
}

/// Not a host name, or not a port behind it.
#[derive(Debug, thiserror::Error)]
#[error("expected a host name, or a host name and a port such as turn.example.org:443")]
pub struct NotATlsHost;

impl FromStr for TlsHost {
    type Err = NotATlsHost;

    fn from_str(text: &str) -> Result<Self, NotATlsHost> {
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port.parse().map_err(|_| NotATlsHost)?)),
            None => (text, None),
        };
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        if name.is_empty() || !name.bytes().all(in_name) {
            return Err(NotATlsHost);
        }
        Ok(Self {
            name: name.to_owned(),
            port,
        })
    }
}

impl TlsHost {
    /// The URL that clients get, when the relay itself listens on this port.
    pub(crate) fn url(&self, listening: u16) -> String {
        let port = self.port.map_or(listening, NonZeroU16::get);
        format!("turns:{}:{port}?transport=tcp", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_the_port_in_front_of_a_redirect() {
        let url = |text: &str| TlsHost::from_str(text).map(|host| host.url(5349)).ok();
        let expected = |port: &str| Some(format!("turns:turn.example.org:{port}?transport=tcp"));
        assert_eq!(url("turn.example.org"), expected("5349"));
        assert_eq!(url("turn.example.org:443"), expected("443"));
        for wrong in [
            "",
            ":443",
            "turn.example.org:",
            "turn.example.org:0",
            "turn.example.org:99999",
            "a b",
            "[::1]:443",
        ] {
            assert_eq!(url(wrong), None, "{wrong}");
        }
    }
}
