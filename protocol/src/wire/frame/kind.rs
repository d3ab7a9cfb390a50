//! The first item of every frame.

/// client → relay: who publishes.
pub(crate) const HELLO: u64 = 1;
/// client → relay: a new message.
pub(crate) const PUBLISH: u64 = 2;
/// client → relay: from which seq on to send messages.
pub(crate) const SUBSCRIBE: u64 = 3;
/// client → relay: a signed group of new messages.
pub(crate) const GROUP: u64 = 4;
/// client → relay: which stream a further channel is of.
pub(crate) const JOIN: u64 = 5;
/// client → relay: what the client can do that not every client can.
pub(crate) const ABILITIES: u64 = 6;
/// relay → client: the answer to hello.
pub(crate) const WELCOME: u64 = 16;
/// relay → client: a message of the stream.
pub(crate) const MESSAGE: u64 = 17;
/// relay → client: the seq that a published message got.
pub(crate) const ACCEPTED: u64 = 18;
/// relay → client: how far the stream is committed.
pub(crate) const COMMITTED: u64 = 19;
/// relay → client: a run of messages is (or no longer is) on chain.
pub(crate) const ANCHORED: u64 = 20;
/// relay → client: somebody published on chain.
pub(crate) const CHAIN: u64 = 21;
/// relay → client: messages that the relay won't send; fetch them by HTTP.
pub const GAP: u64 = 22;
/// relay → client: something went wrong.
pub(crate) const ERROR: u64 = 23;
/// relay → client: what was published on chain became final, or was taken back.
pub(crate) const CHAIN_STATE: u64 = 24;
/// relay → client: the signature of a group, before its first message.
pub(crate) const SIGNATURE: u64 = 25;
/// relay → client: who is at the stream now.
pub(crate) const PRESENCE: u64 = 26;
/// relay → client: a signed group of messages, whole.
pub(crate) const SIGNED_GROUP: u64 = 27;
