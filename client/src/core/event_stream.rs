//! The parser of server-sent events (HTML, "parsing an event stream").
//!
//! What always holds: the work is linear in what comes, and no more than one event of the largest size is kept.

use super::limits::MAX_EVENT_LINE_BYTES;

/// An event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerEvent {
    /// Its type; "message" where the server names none.
    pub kind: String,
    /// Its data.
    pub data: String,
    /// Its id: the cursor with which to come back.
    pub id: String,
}

/// Why an event stream can't be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line of more than {MAX_EVENT_LINE_BYTES} bytes in an event stream")]
pub(crate) struct LineTooLong;

/// Cuts bytes into events.
#[derive(Debug, Default)]
pub(crate) struct EventStreamParser {
    line: Vec<u8>,
    /// Whether the last byte was a carriage return, so that a line feed behind it ends no line.
    is_after_return: bool,
    kind: String,
    data: String,
    has_data: bool,
    last_id: String,
}

impl EventStreamParser {
    /// Takes bytes as they come; returns the events that are complete with them.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<ServerEvent>, LineTooLong> {
        let mut events = Vec::new();
        for byte in bytes {
            let was_after_return = std::mem::take(&mut self.is_after_return);
            match byte {
                b'\n' if was_after_return => {}
                b'\n' => events.extend(self.end_line()),
                b'\r' => {
                    self.is_after_return = true;
                    events.extend(self.end_line());
                }
                _ if self.line.len() >= MAX_EVENT_LINE_BYTES => return Err(LineTooLong),
                byte => self.line.push(*byte),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<ServerEvent> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "id" if !value.contains('\0') => value.clone_into(&mut self.last_id),
            "data" if self.data.len() + value.len() <= MAX_EVENT_LINE_BYTES => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<ServerEvent> {
        let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        std::mem::take(&mut self.has_data).then(|| ServerEvent {
            kind: if kind.is_empty() { "message".into() } else { kind },
            data,
            id: self.last_id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&str]) -> Vec<(String, String, String)> {
        let mut parser = EventStreamParser::default();
        let parsed = chunks
            .iter()
            .flat_map(|chunk| parser.push(chunk.as_bytes()).unwrap());
        parsed.map(|event| (event.kind, event.data, event.id)).collect()
    }

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = ": hello\r\nretry: 1000\r\n\r\nid: 0-1\r\nevent: stored\r\ndata: a\r\ndata:b\r\n\r\nevent: none\n\ndata\n\n";
        let expected = [
            ("stored".to_owned(), "a\nb".to_owned(), "0-1".to_owned()),
            ("message".to_owned(), String::new(), "0-1".to_owned()),
        ];
        assert_eq!(events(&[text]), expected);
        let bytes: Vec<String> = text.chars().map(|one| one.to_string()).collect();
        assert_eq!(
            events(&bytes.iter().map(String::as_str).collect::<Vec<_>>()),
            expected
        );
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let mut parser = EventStreamParser::default();
        assert!(parser.push(&vec![b'x'; MAX_EVENT_LINE_BYTES]).is_ok());
        assert_eq!(parser.push(b"x"), Err(LineTooLong));
    }
}
