//! Clients that join further streams on their connection.

use super::{Net, Who, keys};
use relay_testkit::Client;
use str0m::channel::ChannelId;
use streamchain_protocol::Address;
use streamchain_protocol::auth::{JoinGrant, SessionRights};
use streamchain_protocol::ids::{ProducerId, Seq, SessionId, ShortId};
use streamchain_protocol::wire::frame::ClientFrame;

/// One of the streams beside that of the sessions.
pub fn stream(number: u8) -> ShortId {
    ShortId([number; 20])
}

impl Net {
    /// A grant as the edge would sign it now, for the connection of a client that had the token with its own number.
    pub fn grant(&mut self, who: Who, stream: ShortId) -> JoinGrant {
        self.grants += 1;
        let number = u8::try_from(who + 1).unwrap();
        let mut session = [0xee; 8];
        session[..4].copy_from_slice(&self.grants.to_be_bytes());
        JoinGrant {
            rights: SessionRights::ALL,
            expires: self.now().unix.to_sec().plus_s(60),
            connection: SessionId([number; 8]),
            session: SessionId(session),
            stream,
            author: Address::repeat_byte(number),
            end: None,
        }
    }

    /// Opens a channel that shows this text as its grant.
    pub fn join_with(&mut self, who: Who, grant: &str) -> ChannelId {
        let client = &mut self.clients[who];
        let channel = client.open_another(Client::joining_channel());
        client.send_on(channel, &ClientFrame::Join { grant });
        channel
    }

    /// Opens a channel for this stream, whose producer is welcomed.
    pub fn join_as_publisher(&mut self, who: Who, stream: ShortId) -> ChannelId {
        let grant = self.grant(who, stream).sign(&keys());
        let channel = self.join_with(who, &grant);
        let hello = ClientFrame::Hello {
            producer: ProducerId([who as u8 + 1; 16]),
            key: None,
        };
        self.clients[who].send_on(channel, &hello);
        self.until("the joined channel is welcomed", |net| {
            net.on(who, channel)
                .iter()
                .any(|said| said.starts_with("welcome"))
        });
        channel
    }

    /// The same, and it reads from seq 0.
    pub fn join_as_member(&mut self, who: Who, stream: ShortId) -> ChannelId {
        let channel = self.join_as_publisher(who, stream);
        self.subscribe_on(who, channel, 0);
        channel
    }

    pub fn subscribe_on(&mut self, who: Who, channel: ChannelId, from: u64) {
        self.clients[who].send_on(
            channel,
            &ClientFrame::Subscribe {
                from: Some(Seq(from)),
                signatures: false,
            },
        );
    }

    pub fn publish_on(&mut self, who: Who, channel: ChannelId, producer_seq: u64, payload: &[u8]) {
        self.clients[who].send_on(
            channel,
            &ClientFrame::Publish {
                producer_seq,
                payload,
            },
        );
    }

    /// What a client received on a channel.
    pub fn on(&self, who: Who, channel: ChannelId) -> &[String] {
        self.received_on.get(&(who, channel)).map_or(&[], Vec::as_slice)
    }
}
