use super::super::attributes;
use super::super::writer::Writer;
use super::*;
use crate::turn::server::long_term_key;
use proptest::prelude::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// RFC 5769 §2.1.
const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae\
    802200105354554e207465737420636c69656e74 002400046e0001ff 80290008932ff9b151263b36\
    000600096576746a3a6836765920 2020 000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004e57a3bcf";

/// RFC 5769 §2.2.
const RESPONSE_V4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae\
    8022000b7465737420766563746f7220 002000080001a147e112a643\
    000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004c07d4c96";

/// RFC 5769 §2.4.
const LONG_TERM: &str = "000100602112a44278ad3433c6ad72c029da412e\
    00060012e3839ee38388e383aae38383e382afe382b90000\
    0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700\
    00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";

#[test]
fn the_request_of_rfc_5769_is_read_and_verified() {
    let bytes = bytes(REQUEST);
    let message = Message::read(&bytes).unwrap();
    assert_eq!((message.class, message.method), (Class::Request, Method::BINDING));
    assert_eq!(message.text(attributes::USERNAME), Some("evtj:h6vY"));
    assert!(message.is_signed_with(b"VOkJxbRl1RmTxUk/WvJxBt"));
    assert!(!message.is_signed_with(b"VOkJxbRl1RmTxUk/WvJxBu"));
}

#[test]
fn the_response_of_rfc_5769_names_the_mapped_address() {
    let bytes = bytes(RESPONSE_V4);
    let message = Message::read(&bytes).unwrap();
    let address = message.attribute(attributes::XOR_MAPPED_ADDRESS).unwrap();
    assert_eq!(
        read_xor_address(address, &message.transaction),
        Some("192.0.2.1:32853".parse().unwrap())
    );
    assert!(message.is_signed_with(b"VOkJxbRl1RmTxUk/WvJxBt"));
}

#[test]
fn the_long_term_request_of_rfc_5769_is_verified() {
    let bytes = bytes(LONG_TERM);
    let message = Message::read(&bytes).unwrap();
    let user = message.text(attributes::USERNAME).unwrap();
    assert!(message.is_signed_with(&long_term_key(user, "example.org", "TheMatrIX")));
}

#[test]
fn a_changed_fingerprint_is_no_message() {
    let mut bytes = bytes(RESPONSE_V4);
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(Message::read(&bytes), Err(MessageError::Fingerprint));
}

#[test]
fn an_attribute_behind_the_integrity_is_not_seen() {
    let signed = Writer::new(Class::Request, Method::REFRESH, [7; 12]).sign(b"key");
    let bytes = signed.attribute(attributes::LIFETIME, &[0; 4]).finish();
    let message = Message::read(&bytes).unwrap();
    assert!(message.is_signed_with(b"key"));
    assert_eq!(message.attribute(attributes::LIFETIME), None);
}

#[test]
fn truncated_and_oversize_messages_are_refused() {
    let whole = Writer::new(Class::Request, Method::BINDING, [7; 12])
        .attribute(attributes::SOFTWARE, b"test")
        .finish();
    for length in 0..whole.len() {
        assert!(Message::read(&whole[..length]).is_err(), "{length} bytes");
    }
    let mut long = whole.clone();
    long.resize(MAX_PACKET_BYTES + 4, 0);
    assert_eq!(
        Message::read(&long),
        Err(MessageError::Size(MAX_PACKET_BYTES + 4))
    );
    let mut trailing = whole;
    trailing.extend([0; 4]);
    assert!(Message::read(&trailing).is_err(), "bytes behind the message");
}

/// A message with these bytes behind its header, whose length field is right.
fn with_body(body: &[u8]) -> Vec<u8> {
    let mut bytes = Writer::new(Class::Request, Method::BINDING, [7; 12]).finish();
    bytes.truncate(STUN_HEADER_BYTES);
    bytes[2..4].copy_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn a_header_alone_is_a_message_and_less_is_none() {
    let header = with_body(&[]);
    let message = Message::read(&header).unwrap();
    assert_eq!(message.attributes().count(), 0);
    assert_eq!(Message::read(&header[..19]), Err(MessageError::Size(19)));
    assert_eq!(Message::read(&[]), Err(MessageError::Size(0)));
}

#[test]
fn a_length_field_that_lies_is_refused() {
    let honest = with_body(&[0x80, 0x22, 0, 4, b't', b'e', b's', b't']);
    assert!(Message::read(&honest).is_ok());
    for lie in [0u16, 4, 7, 9, 12, 20, 4_096, 0xFFFC, 0xFFFF] {
        let mut bytes = honest.clone();
        bytes[2..4].copy_from_slice(&lie.to_be_bytes());
        let expected = Err(MessageError::Length(lie.into()));
        assert_eq!(Message::read(&bytes), expected, "{lie}");
    }
    let odd = with_body(&[0x80, 0x22, 0, 1, b't']);
    assert_eq!(
        Message::read(&odd),
        Err(MessageError::Length(5)),
        "no multiple of four"
    );
}

#[test]
fn an_attribute_that_runs_past_the_end_is_refused() {
    for length in [5u8, 6, 8, 9, 0xFF] {
        let bytes = with_body(&[0x80, 0x22, 0, length, b't', b'e', b's', b't']);
        assert_eq!(Message::read(&bytes), Err(MessageError::Attribute), "{length}");
    }
    let huge = with_body(&[0x80, 0x22, 0xFF, 0xFF]);
    assert_eq!(Message::read(&huge), Err(MessageError::Attribute));
    let short = with_body(&[0x00, 0x08, 0, 4, 1, 2, 3, 4]);
    assert_eq!(
        Message::read(&short),
        Err(MessageError::Attribute),
        "an integrity of four bytes"
    );
}

#[test]
fn padding_may_hold_anything_and_is_no_part_of_the_value() {
    for padding in [[0, 0, 0], [0xFF, 0xFF, 0xFF]] {
        let body = [&[0x80, 0x22, 0, 1, b't'][..], &padding, &[0x80, 0x23, 0, 0]].concat();
        let bytes = with_body(&body);
        let message = Message::read(&bytes).unwrap();
        assert_eq!(message.attribute(attributes::SOFTWARE), Some(&b"t"[..]));
        assert_eq!(message.attributes().count(), 2);
    }
}

#[test]
fn an_address_of_a_wrong_length_or_family_is_none() {
    let right = [0, 1, 0x21, 0x12, 0x21, 0x12, 0xA4, 0x42];
    assert_eq!(
        read_xor_address(&right, &[7; 12]),
        Some("0.0.0.0:0".parse().unwrap())
    );
    for length in 0..right.len() {
        assert_eq!(
            read_xor_address(&right[..length], &[7; 12]),
            None,
            "{length} bytes"
        );
    }
    for family in [0, 2, 3, 0xFF] {
        let mut wrong = right;
        wrong[1] = family;
        assert_eq!(read_xor_address(&wrong, &[7; 12]), None, "family {family}");
    }
}

#[test]
fn endless_attributes_are_refused() {
    let mut many = Writer::new(Class::Request, Method::BINDING, [7; 12]);
    for _ in 0..=MAX_ATTRIBUTES {
        many = many.attribute(attributes::SOFTWARE, b"");
    }
    assert_eq!(Message::read(&many.finish()), Err(MessageError::TooMany));
}

fn any_method() -> impl Strategy<Value = Method> {
    (0u16..0x1000).prop_map(Method)
}

fn any_class() -> impl Strategy<Value = Class> {
    prop_oneof![
        Just(Class::Request),
        Just(Class::Indication),
        Just(Class::Success),
        Just(Class::Error)
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        class in any_class(),
        method in any_method(),
        transaction: [u8; 12],
        address: std::net::SocketAddr,
        value in prop::collection::vec(any::<u8>(), 0..100),
        key: [u8; 16],
    ) {
        let address = std::net::SocketAddr::new(address.ip(), address.port());
        let bytes = Writer::new(class, method, transaction)
            .xor_address(attributes::XOR_PEER_ADDRESS, address)
            .attribute(attributes::DATA, &value)
            .sign(&key)
            .finish();
        let message = Message::read(&bytes).unwrap();
        prop_assert_eq!((message.class, message.method, message.transaction), (class, method, transaction));
        prop_assert_eq!(message.peers().collect::<Vec<_>>(), vec![Ok(address)]);
        prop_assert_eq!(message.attribute(attributes::DATA), Some(&value[..]));
        prop_assert!(message.is_signed_with(&key));
    }

    #[test]
    fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..400), like_stun: bool) {
        if like_stun && bytes.len() >= STUN_HEADER_BYTES {
            // Far enough past the header that the attributes are what is fuzzed.
            bytes.truncate(bytes.len() / 4 * 4);
            bytes[0] &= 0x3F;
            let length = u16::try_from(bytes.len() - STUN_HEADER_BYTES).unwrap();
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            bytes[4..8].copy_from_slice(&STUN_MAGIC_COOKIE);
        }
        if let Ok(message) = Message::read(&bytes) {
            message.attributes().for_each(drop);
            message.peers().for_each(drop);
            prop_assert!(!message.is_signed_with(b"key"));
        }
    }

    #[test]
    fn a_signed_message_with_any_byte_changed_is_refused(at in 0usize..56, to: u8) {
        let mut bytes = Writer::new(Class::Request, Method::ALLOCATE, [9; 12])
            .attribute(attributes::USERNAME, b"1:aa")
            .attribute(attributes::LIFETIME, &[0; 4])
            .sign(b"key")
            .finish();
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        prop_assert!(!Message::read(&bytes).is_ok_and(|message| message.is_signed_with(b"key")));
    }
}
