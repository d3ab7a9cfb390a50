//! A fuzz target of the frames of links between relays.

use super::codec::{read_down, read_follow, read_up, write_frame};
use super::{LinkFrame, UpFrame};
use bytes::Bytes;

/// Reads a frame of each direction; what was read is written, and read as the same again.
pub fn link_frames(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let written = |frame: &LinkFrame, ticket: &str| {
        let mut out = Vec::new();
        write_frame(frame, ticket, &mut out);
        Bytes::from(out)
    };
    if let Ok(Some(frame)) = read_up(&bytes) {
        let said = format!("{frame:?}");
        let again = read_up(&written(&LinkFrame::Up(frame), ""));
        assert!(again.is_ok_and(|again| again.is_some_and(|again| format!("{again:?}") == said)));
    }
    if let Ok(Some(frame)) = read_down(&bytes) {
        let said = format!("{frame:?}");
        let again = read_down(&written(&LinkFrame::Down(frame), ""));
        assert!(again.is_ok_and(|again| again.is_some_and(|again| format!("{again:?}") == said)));
    }
    if let Ok((ticket, follow)) = read_follow(&bytes) {
        let again = written(&LinkFrame::Up(UpFrame::Follow(follow)), ticket);
        assert_eq!(read_follow(&again), Ok((ticket, follow)));
    }
}
