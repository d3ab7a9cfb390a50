//! Packets in an ICE-TCP connection: two bytes of length before each (RFC 4571).

/// Largest packet that is read, bytes: a relay's are below the MTU of UDP.
const MAX_PACKET_BYTES: usize = 4_096;

/// The next packet can't be found: the connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a packet of {0} bytes in an ICE-TCP connection: expected at most {MAX_PACKET_BYTES}")]
pub(super) struct PacketTooLong(usize);

/// Appends a packet with its length before it.
pub(super) fn write_packet(packet: &[u8], out: &mut Vec<u8>) {
    if let Ok(length) = u16::try_from(packet.len()) {
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(packet);
    }
}

/// Takes the first packet out of what was received.
pub(super) fn take_packet(received: &mut Vec<u8>) -> Result<Option<Vec<u8>>, PacketTooLong> {
    let Some((length, rest)) = received.split_first_chunk() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes(*length));
    if length > MAX_PACKET_BYTES {
        return Err(PacketTooLong(length));
    }
    let packet = rest.get(..length).map(<[u8]>::to_vec);
    if packet.is_some() {
        received.drain(..length + 2);
    }
    Ok(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_however_they_are_cut() {
        let mut wire = Vec::new();
        write_packet(b"abc", &mut wire);
        write_packet(b"", &mut wire);
        write_packet(b"de", &mut wire);
        let (mut received, mut packets) = (Vec::new(), Vec::new());
        for byte in wire {
            received.push(byte);
            while let Some(packet) = take_packet(&mut received).unwrap() {
                packets.push(packet);
            }
        }
        assert_eq!(packets, [b"abc".to_vec(), b"".to_vec(), b"de".to_vec()]);
        assert_eq!(take_packet(&mut vec![0xFF, 0xFF]), Err(PacketTooLong(65_535)));
    }
}
