//! Lines of standard input, read by a thread of its own, since reading blocks.

use crate::exit::Exit;
use serde::Deserialize;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use streamchain_protocol::Bytes;
use streamchain_protocol::limits::MAX_PAYLOAD_BYTES;
use tokio::sync::mpsc;

/// Lines that are handed over together at most.
const LINES_TOGETHER: usize = 256;

/// Pieces that wait until they are published: then reading waits.
const MAX_WAITING: usize = 16;

/// Longest line, bytes: a payload in hexadecimal digits, or in JSON escapes of six characters for each byte, fits.
const MAX_LINE_BYTES: u64 = 6 * MAX_PAYLOAD_BYTES as u64 + 1_024;

/// A line of JSON. Other members are ignored, so that what `sub --json` writes can be published.
#[derive(Deserialize)]
struct JsonLine {
    text: Option<String>,
    payload: Option<Bytes>,
}

/// Lines as they come.
pub(crate) struct Lines {
    pieces: mpsc::Receiver<Result<Vec<Vec<u8>>, String>>,
}

impl Lines {
    /// Begins to read standard input; each line becomes a payload.
    pub(crate) fn of_stdin(is_json: bool) -> Self {
        let (sender, pieces) = mpsc::channel(MAX_WAITING);
        std::thread::spawn(move || read(std::io::stdin(), is_json, &sender));
        Self { pieces }
    }

    /// Waits for the next payloads; `None` at the end of the input.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Vec<u8>>>, Exit> {
        self.pieces.recv().await.transpose().map_err(Exit::NotDone)
    }
}

/// Reads until the end, or until nobody takes the lines any more.
fn read(input: impl Read, is_json: bool, sender: &mpsc::Sender<Result<Vec<Vec<u8>>, String>>) {
    let mut input = BufReader::with_capacity(64 * 1024, input);
    let (mut number, mut payloads) = (0_u64, Vec::new());
    loop {
        let mut line = Vec::new();
        let read = (&mut input).take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        number += 1;
        let payload = match read {
            Ok(0) => break,
            Ok(_) => payload_of(line, is_json).map_err(|reason| format!("line {number}: {reason}")),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(format!("standard input: {error}")),
        };
        match payload {
            Ok(payload) => payloads.push(payload),
            Err(reason) => {
                // What was read before the line that is wrong is published.
                let _ = sender.blocking_send(Ok(std::mem::take(&mut payloads)));
                let _ = sender.blocking_send(Err(reason));
                return;
            }
        }
        // What is there now goes on now: a program may write one line and wait.
        let is_full = payloads.len() >= LINES_TOGETHER || !input.buffer().contains(&b'\n');
        if is_full && sender.blocking_send(Ok(std::mem::take(&mut payloads))).is_err() {
            return;
        }
    }
    if !payloads.is_empty() {
        let _ = sender.blocking_send(Ok(payloads));
    }
}

fn payload_of(mut line: Vec<u8>, is_json: bool) -> Result<Vec<u8>, String> {
    let is_whole = line.last() == Some(&b'\n');
    if is_whole {
        line.pop();
    } else if line.len() as u64 >= MAX_LINE_BYTES {
        return Err(format!("longer than {MAX_LINE_BYTES} bytes"));
    }
    let payload = match is_json {
        false => line,
        true => {
            let parsed: JsonLine = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
            match (parsed.text, parsed.payload) {
                (Some(text), None) => text.into_bytes(),
                (None, Some(payload)) => payload.to_vec(),
                _ => return Err(r#"expected {"text": "…"} or {"payload": "0x…"}"#.into()),
            }
        }
    };
    match payload.len() > MAX_PAYLOAD_BYTES {
        true => Err(format!(
            "{} bytes: a message has at most {MAX_PAYLOAD_BYTES}",
            payload.len()
        )),
        false => Ok(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, is_json: bool) -> Result<Vec<Vec<u8>>, String> {
        let (sender, mut pieces) = mpsc::channel(1_000);
        read(text.as_bytes(), is_json, &sender);
        let mut all = Vec::new();
        while let Ok(piece) = pieces.try_recv() {
            all.extend(piece?);
        }
        Ok(all)
    }

    #[test]
    fn each_line_is_a_payload() {
        let expected = ["a", "", "b\r", "c"].map(|line| line.as_bytes().to_vec());
        assert_eq!(lines("a\n\nb\r\nc", false).unwrap(), expected);
        assert_eq!(lines("", false).unwrap(), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn json_lines_have_text_or_digits() {
        let text = "{\"text\":\"a\\n\",\"seq\":3}\n{\"payload\":\"0xff00\"}\n";
        assert_eq!(lines(text, true).unwrap(), [b"a\n".to_vec(), vec![0xFF, 0]]);
        for (wrong, reason) in [
            ("{}", "line 1: expected"),
            ("{\"text\":\"\",\"payload\":\"0x\"}", "line 1: expected"),
            ("{\"text\":\"a\"}\nno", "line 2: "),
        ] {
            let refused = lines(wrong, true).unwrap_err();
            assert!(refused.starts_with(reason), "{refused}");
        }
    }

    #[test]
    fn a_line_that_is_no_message_is_refused_with_its_number() {
        let large = format!("a\n{}\n", "x".repeat(MAX_PAYLOAD_BYTES + 1));
        assert!(
            lines(&large, false)
                .unwrap_err()
                .starts_with("line 2: 65537 bytes")
        );
        let endless = "x".repeat(MAX_LINE_BYTES as usize + 10);
        assert!(lines(&endless, false).unwrap_err().starts_with("line 1: longer"));
    }
}
