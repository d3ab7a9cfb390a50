//! Certificate fingerprints as SDP writes them (RFC 8122).

/// Reads 32 bytes as `AB:CD:…` (RFC 8122 §5), in either case.
pub fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut count = 0;
    for part in text.split(':') {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        *bytes.get_mut(count).filter(|_| digits)? = u8::from_str_radix(part, 16).ok()?;
        count += 1;
    }
    (count == 32).then_some(bytes)
}

/// Writes 32 bytes as `AB:CD:…`, upper-case.
pub fn format_fingerprint(bytes: &[u8; 32]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect::<Vec<_>>()
        .join(":")
}
