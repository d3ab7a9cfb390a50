//! The options of links to other relays.

use anyhow::{Context, Result, bail};
use clap::Args;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use streamchain_protocol::wire::{LinkReach, Location};

/// The part of `relay-node run` about other relays.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Links to other relays")]
pub struct LinkArgs {
    /// UDP address for links to other relays (QUIC). With it, streams are served by several relays at a time [default: no links]
    #[arg(long, env = "STREAMCHAIN_LINK_LISTEN", value_name = "ADDRESS")]
    pub link_listen: Option<SocketAddr>,
    /// Address and port at which other relays reach --link-listen, the best first [default: those of --advertise, else
    /// --link-listen itself]. May be given more than once
    #[arg(
        long,
        env = "STREAMCHAIN_LINK_PUBLIC",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    pub link_public: Vec<SocketAddr>,
    /// Where this relay is, in degrees: clients are sent to a relay near them [default: as Cloudflare sees its requests]
    #[arg(
        long,
        env = "STREAMCHAIN_LOCATION",
        value_name = "LAT,LON",
        value_parser = location,
        allow_hyphen_values = true
    )]
    pub location: Option<Location>,
}

fn location(text: &str) -> Result<Location, String> {
    let expected = || "expected latitude and longitude in degrees, such as 52.52,13.405".to_owned();
    let (latitude, longitude) = text.split_once(',').ok_or_else(expected)?;
    let degrees = |text: &str| text.trim().parse::<f64>().map_err(|_| expected());
    Location::of_degrees(degrees(latitude)?, degrees(longitude)?)
        .ok_or_else(|| "expected a latitude from -90 to 90 and a longitude from -180 to 180".to_owned())
}

impl LinkArgs {
    /// The socket of links, and how other relays reach it; `None` for a relay without links.
    pub(crate) fn open(
        &self,
        advertise: &[IpAddr],
        fingerprint: &str,
    ) -> Result<Option<(UdpSocket, LinkReach)>> {
        let Some(listen) = self.link_listen else {
            if self.link_public.is_empty() {
                return Ok(None);
            }
            bail!("--link-public: there are no links without --link-listen");
        };
        let socket = UdpSocket::bind(listen)
            .with_context(|| format!("--link-listen {listen}: can't listen there; choose another port"))?;
        let local = socket.local_addr()?;
        let advertised = advertise
            .iter()
            .filter(|address| address.is_ipv4() == local.is_ipv4());
        let advertised: Vec<SocketAddr> = advertised
            .map(|address| SocketAddr::new(*address, local.port()))
            .collect();
        let addresses = match (self.link_public.is_empty(), advertised.is_empty()) {
            (false, _) => self.link_public.clone(),
            (true, false) => advertised,
            (true, true) if local.ip().is_unspecified() => {
                bail!(
                    "--link-listen {local} is every address of the machine: name with --link-public the one that other relays reach"
                )
            }
            (true, true) => vec![local],
        };
        let fingerprint = fingerprint.to_owned();
        Ok(Some((
            socket,
            LinkReach {
                addresses,
                fingerprint,
            },
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        links: LinkArgs,
    }

    fn args(given: &[&str]) -> Result<LinkArgs, clap::Error> {
        Command::try_parse_from(["run"].iter().chain(given)).map(|command| command.links)
    }

    fn addresses(given: &[&str], advertise: &[&str]) -> Result<Vec<SocketAddr>> {
        let advertise: Vec<IpAddr> = advertise.iter().map(|ip| ip.parse().unwrap()).collect();
        let opened = args(given)?.open(&advertise, "AB")?;
        Ok(opened.map(|(_, reach)| reach.addresses).unwrap_or_default())
    }

    #[test]
    fn other_relays_are_told_the_address_that_they_reach() {
        let port = |found: Vec<SocketAddr>| found.iter().map(|one| one.ip().to_string()).collect::<Vec<_>>();
        assert_eq!(
            port(addresses(&["--link-listen", "127.0.0.1:0"], &[]).unwrap()),
            ["127.0.0.1"]
        );
        let every = &["--link-listen", "0.0.0.0:0"];
        assert!(addresses(every, &[]).is_err(), "nobody reaches 0.0.0.0");
        assert_eq!(
            port(addresses(every, &["192.0.2.1", "2001:db8::1"]).unwrap()),
            ["192.0.2.1"]
        );
        let public = &[
            "--link-listen",
            "0.0.0.0:0",
            "--link-public",
            "198.51.100.1:7443,[2001:db8::1]:7443",
        ];
        assert_eq!(
            port(addresses(public, &["192.0.2.1"]).unwrap()),
            ["198.51.100.1", "2001:db8::1"]
        );
        assert!(
            addresses(&[], &["192.0.2.1"]).unwrap().is_empty(),
            "there are no links unless they are asked for"
        );
        assert!(addresses(&["--link-public", "192.0.2.1:1"], &[]).is_err());
    }

    #[test]
    fn a_location_is_two_numbers_in_their_ranges() {
        let read = |text: &str| args(&["--location", text]).map(|args| args.location.unwrap().degrees());
        assert_eq!(read("-33.868,151.209").unwrap(), (-33.868, 151.209));
        for wrong in ["52.5", "north,east", "91,0", "0,181"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
