//! The opening of an SCTP association that both ends begin (RFC 9260 §5.2.1).
//!
//! The relay begins one as soon as DTLS is up, which saves a round trip with clients that answer it, as browsers do. The SCTP
//! stack leaves a client's own INIT unanswered then, and clients that leave ours unanswered too would wait for each other. So
//! this stands between DTLS and the stack until the association is up.
//!
//! What always holds: a client's INIT is answered, whatever the relay has sent before. The stack never sees it; should the
//! client go on with our answer to it, the stack is handed what it would have got if the client had answered the relay's own.

/// The cookie of an answer. Both ends have proven who they are in DTLS, so it need not be secret.
const COOKIE: &[u8] = b"streamchain cookie";

/// Longest packet with an INIT that is kept, bytes: browsers' have about a hundred.
const MAX_INIT_BYTES: usize = 1_024;

const COMMON_HEADER: usize = 12;
const CHUNK_HEADER: usize = 4;
/// Tag, window, streams and first TSN of an INIT (RFC 9260 §3.3.2); parameters follow.
const INIT_FIELDS: usize = 16;

const STATE_COOKIE: u16 = 7;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;

/// What becomes of a packet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Goes where the packet was going, in its place.
    pub on: Vec<Vec<u8>>,
    /// Goes to the client.
    pub to_client: Vec<Vec<u8>>,
}

impl Turn {
    fn pass(packet: &[u8]) -> Self {
        Self {
            on: vec![packet.to_vec()],
            to_client: Vec::new(),
        }
    }
}

/// The INITs of both ends, until their association is up.
#[derive(Debug, Default)]
pub(crate) struct SctpOpening {
    ours: Option<Vec<u8>>,
    theirs: Option<Vec<u8>>,
    is_over: bool,
}

impl SctpOpening {
    /// Whether the association is up, so that all packets pass.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes a packet of the stack for the client.
    pub(crate) fn outgoing(&mut self, packet: &[u8]) -> Turn {
        let mut turn = Turn::pass(packet);
        match chunk(packet) {
            Some((INIT, _)) if packet.len() <= MAX_INIT_BYTES => {
                let is_first = self.ours.replace(packet.to_vec()).is_none();
                if is_first {
                    turn.to_client.extend(self.answer());
                }
            }
            // It answers what was made up for the stack: the client knows nothing of it.
            Some((COOKIE_ECHO, COOKIE)) => turn.on.clear(),
            _ => {}
        }
        turn
    }

    /// Takes a packet of the client for the stack.
    pub(crate) fn incoming(&mut self, packet: &[u8]) -> Turn {
        match chunk(packet) {
            Some((INIT, fields)) if packet.len() <= MAX_INIT_BYTES && fields.len() >= INIT_FIELDS => {
                self.theirs = Some(packet.to_vec());
                match self.answer() {
                    Some(answer) => Turn {
                        on: Vec::new(),
                        to_client: vec![answer],
                    },
                    None => Turn::pass(packet),
                }
            }
            Some((COOKIE_ECHO, COOKIE)) => self.accept(packet).unwrap_or_default(),
            Some((INIT | INIT_ACK | COOKIE_ECHO, _)) | None => Turn::pass(packet),
            Some(_) => {
                self.is_over = true;
                Turn::pass(packet)
            }
        }
    }

    /// The INIT ACK for the client, with what our own INIT said.
    fn answer(&self) -> Option<Vec<u8>> {
        let (ours, theirs) = (self.ours.as_deref()?, self.theirs.as_deref()?);
        init_ack(ours, tag(theirs)?)
    }

    /// The client goes on with our answer: for the stack, it has answered our INIT and taken our cookie.
    fn accept(&self, packet: &[u8]) -> Option<Turn> {
        let (ours, theirs) = (self.ours.as_deref()?, self.theirs.as_deref()?);
        let (our_tag, their_tag) = (tag(ours)?, tag(theirs)?);
        let ack = [COOKIE_ACK, 0, 0, CHUNK_HEADER as u8];
        let rest = packet.get(COMMON_HEADER + padded(CHUNK_HEADER + COOKIE.len())..);
        let taken = [ack.as_slice(), rest.unwrap_or_default()].concat();
        Some(Turn {
            on: vec![
                init_ack(theirs, our_tag)?,
                sealed(ports(packet)?, our_tag, &taken),
            ],
            to_client: vec![sealed(ports(ours)?, their_tag, &ack)],
        })
    }
}

/// The first chunk of a packet: its type and value.
fn chunk(packet: &[u8]) -> Option<(u8, &[u8])> {
    let [kind, _flags, high, low] = packet.get(COMMON_HEADER..)?.first_chunk::<CHUNK_HEADER>()?;
    let end = COMMON_HEADER + usize::from(u16::from_be_bytes([*high, *low]));
    Some((*kind, packet.get(COMMON_HEADER + CHUNK_HEADER..end)?))
}

/// The initiate tag of an INIT.
fn tag(init: &[u8]) -> Option<[u8; 4]> {
    chunk(init)?.1.first_chunk().copied()
}

fn ports(packet: &[u8]) -> Option<[u8; 4]> {
    packet.first_chunk().copied()
}

/// The INIT ACK that says what `init` says, and carries our cookie.
fn init_ack(init: &[u8], verification_tag: [u8; 4]) -> Option<Vec<u8>> {
    let mut value = chunk(init)?.1.to_vec();
    value.resize(padded(value.len()), 0);
    value.extend(STATE_COOKIE.to_be_bytes());
    value.extend(length(CHUNK_HEADER + COOKIE.len())?);
    value.extend(COOKIE);
    let mut chunk = vec![INIT_ACK, 0];
    chunk.extend(length(CHUNK_HEADER + value.len())?);
    chunk.extend(value);
    chunk.resize(padded(chunk.len()), 0);
    Some(sealed(ports(init)?, verification_tag, &chunk))
}

fn length(bytes: usize) -> Option<[u8; 2]> {
    Some(u16::try_from(bytes).ok()?.to_be_bytes())
}

/// Chunks and parameters begin at multiples of four bytes.
fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(4)
}

/// A packet with its checksum (RFC 9260 §6.8).
fn sealed(ports: [u8; 4], verification_tag: [u8; 4], chunks: &[u8]) -> Vec<u8> {
    let header = |sum: [u8; 4]| [ports, verification_tag, sum].concat();
    let sum = crc32c(&[header([0; 4]).as_slice(), chunks].concat());
    [header(sum.to_le_bytes()).as_slice(), chunks].concat()
}

/// CRC32c, bit by bit: it is for two packets of a session.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (POLYNOMIAL & 0u32.wrapping_sub(sum & 1))
        })
    })
}

#[cfg(test)]
#[path = "sctp_opening_tests.rs"]
mod tests;
