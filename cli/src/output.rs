//! What is written to standard output: messages as text or as JSON lines.

use crate::exit::Exit;
use crate::signed::Signed;
use serde_json::{Value, json};
use std::io::{BufWriter, Stdout, Write};
use streamchain_client::core::Message;
use streamchain_protocol::Bytes;
use streamchain_protocol::ids::StreamName;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The payload and a line feed.
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    pub(crate) fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// Standard output, written in large pieces: who waits for it flushes.
pub(crate) struct Output {
    to: BufWriter<Stdout>,
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            to: BufWriter::new(std::io::stdout()),
            format,
        }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Writes a message, with what was found of its signature if that was checked.
    pub(crate) fn message(&mut self, message: &Message, signed: Option<Signed>) -> Result<(), Exit> {
        match self.format {
            Format::Text => self.to.write_all(&text(None, signed, &message.payload))?,
            Format::Json => self.json(&with_signed(message_json(message), signed))?,
        }
        Ok(())
    }

    /// Writes a message of one of several streams.
    pub(crate) fn message_of(
        &mut self,
        stream: &StreamName,
        message: &Message,
        signed: Option<Signed>,
    ) -> Result<(), Exit> {
        match self.format {
            Format::Text => Ok(self.to.write_all(&text(Some(stream), signed, &message.payload))?),
            Format::Json => {
                let shown = with_stream(message_json(message), stream);
                self.json(&with_signed(shown, signed))
            }
        }
    }

    /// Writes a JSON line.
    pub(crate) fn json(&mut self, value: &Value) -> Result<(), Exit> {
        serde_json::to_writer(&mut self.to, value).map_err(std::io::Error::from)?;
        self.to.write_all(b"\n")?;
        Ok(())
    }

    /// Writes a line of text.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Exit> {
        self.to.write_all(text.as_bytes())?;
        self.to.write_all(b"\n")?;
        Ok(())
    }

    /// Hands everything to the reader.
    pub(crate) fn flush(&mut self) -> Result<(), Exit> {
        Ok(self.to.flush()?)
    }
}

/// A payload as text. The name of its stream, and the mark of what nobody but the operator attests, stand before each line: a line
/// feed inside cannot begin a line of another stream, or one that seems to be signed.
fn text(stream: Option<&StreamName>, signed: Option<Signed>, payload: &[u8]) -> Vec<u8> {
    let words = [stream.map(StreamName::as_str), signed.and_then(Signed::mark)];
    let mut text = Vec::with_capacity(payload.len() + 80);
    for line in payload.split(|byte| *byte == b'\n') {
        for word in words.into_iter().flatten() {
            text.extend_from_slice(word.as_bytes());
            text.push(b'\t');
        }
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text
}

/// An object with the member `stream`.
pub(crate) fn with_stream(mut shown: Value, stream: &StreamName) -> Value {
    if let Some(members) = shown.as_object_mut() {
        members.insert("stream".into(), json!(stream));
    }
    shown
}

fn with_signed(mut shown: Value, signed: Option<Signed>) -> Value {
    if let Some((members, signed)) = shown.as_object_mut().zip(signed) {
        members.insert("signed".into(), signed.json());
    }
    shown
}

/// A message as JSON: `text` where the payload is UTF-8, else `payload` in hexadecimal digits.
pub(crate) fn message_json(message: &Message) -> Value {
    let mut shown = json!({ "seq": message.seq, "time": message.time, "author": message.author });
    let (name, value) = match std::str::from_utf8(&message.payload) {
        _ if message.erased.is_some() => ("erased", json!(message.erased)),
        Ok(text) => ("text", json!(text)),
        Err(_) => ("payload", json!(Bytes::copy_from_slice(&message.payload))),
    };
    if let Some(members) = shown.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signed::VouchedBy;
    use streamchain_protocol::Address;
    use streamchain_protocol::ids::Seq;
    use streamchain_protocol::signed::PublicKey;
    use streamchain_protocol::time::UnixMs;

    fn message(payload: &[u8]) -> Message {
        Message {
            seq: Seq(3),
            time: UnixMs(5),
            author: Address::repeat_byte(0x11),
            payload: payload.to_vec(),
            erased: None,
            signature: None,
        }
    }

    #[test]
    fn json_has_text_or_digits() {
        let text = message_json(&message("hé\n".as_bytes())).to_string();
        let author = "0x1111111111111111111111111111111111111111";
        assert_eq!(
            text,
            format!(r#"{{"author":"{author}","seq":3,"text":"hé\n","time":5}}"#)
        );
        let bytes = message_json(&message(&[0xFF, 1])).to_string();
        assert_eq!(
            bytes,
            format!(r#"{{"author":"{author}","payload":"0xff01","seq":3,"time":5}}"#)
        );
    }

    #[test]
    fn each_line_has_the_name_of_its_stream() {
        let stream: StreamName = "sensors.a".parse().unwrap();
        assert_eq!(text(Some(&stream), None, b""), b"sensors.a\t\n");
        assert_eq!(text(None, None, b"21\n22"), b"21\n22\n");
        assert_eq!(
            text(Some(&stream), None, b"21\nsensors.b\t22"),
            b"sensors.a\t21\nsensors.a\tsensors.b\t22\n",
            "an author of one stream writes no line of another"
        );
        let shown = with_stream(message_json(&message(b"hi")), &stream).to_string();
        assert!(
            shown.ends_with(r#""seq":3,"stream":"sensors.a","text":"hi","time":5}"#),
            "{shown}"
        );
    }

    #[test]
    fn lines_that_only_the_operator_attests_are_marked() {
        let key = PublicKey::from_bytes([2; 33]).unwrap();
        let by = |voucher| Signed::By { key, voucher };
        for (signed, mark, json) in [
            (Signed::No, Some("unsigned"), "false"),
            (
                by(VouchedBy::Operator),
                Some("operator"),
                r#""voucher":"operator""#,
            ),
            (by(VouchedBy::Caller), None, r#""voucher":"named""#),
            (by(VouchedBy::Wallet), None, r#""voucher":"wallet""#),
            (by(VouchedBy::Key), None, r#""voucher":"self""#),
        ] {
            assert_eq!(signed.mark(), mark);
            let shown = with_signed(message_json(&message(b"hi")), Some(signed)).to_string();
            assert!(shown.contains(json), "{shown}");
        }
        let stream: StreamName = "sensors.a".parse().unwrap();
        assert_eq!(
            text(Some(&stream), Some(Signed::No), b"21\n22"),
            b"sensors.a\tunsigned\t21\nsensors.a\tunsigned\t22\n",
            "no line of it seems to be signed"
        );
        let operators = Some(by(VouchedBy::Operator));
        assert_eq!(text(None, operators, b"21"), b"operator\t21\n");
        assert_eq!(text(None, Some(by(VouchedBy::Key)), b"21"), b"21\n");
    }
}
