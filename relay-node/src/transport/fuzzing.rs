//! Fuzz targets of the framing on TCP.

use super::rfc4571::{Framing, StreamReader};

fn packets(framing: Framing, pieces: impl Iterator<Item = Vec<u8>>) -> (Vec<Vec<u8>>, bool) {
    let (mut reader, mut packets) = (StreamReader::new(framing), Vec::new());
    for piece in pieces {
        reader.push(&piece, 0);
        loop {
            match reader.next_packet(0) {
                Ok(Some(packet)) => packets.push(packet.to_vec()),
                Ok(None) => break,
                Err(_) => return (packets, false),
            }
        }
    }
    (packets, true)
}

/// Cuts the bytes into packets in both framings; how they arrive makes no difference to what is cut.
pub fn tcp_framing(bytes: &[u8]) {
    for framing in [Framing::Turn, Framing::Counted] {
        let whole = packets(framing, std::iter::once(bytes.to_vec()));
        let pieces = packets(framing, bytes.chunks(7).map(<[u8]>::to_vec));
        assert_eq!(whole, pieces, "packets do not depend on how the bytes arrive");
    }
}
