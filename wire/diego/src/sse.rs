//! Framing of event streams, both directions.
//!
//! The BBS sends three lines and a blank one per event: `id`, `event`, `data`, with bare line feeds; the
//! payload is one protobuf message in padded base64 on one line (`events_handlers.go` of `bbs`, and the
//! `sse` package it uses). There is no comment line, no `retry` and no keep-alive; the decoder accepts
//! them all the same, and carriage returns, as the event-stream grammar of the HTML standard allows.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Longest line that is accepted. A change of a desired LRP with bound files is several megabytes.
pub const MAX_LINE: usize = 64 * 1024 * 1024;

/// One event as framed: its payload is still base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Counter of this connection, from 0. Not a resume point.
    pub id: Option<u64>,
    /// Name of the event.
    pub event: String,
    /// Base64 of one protobuf message; an undecodable one concerns this event alone.
    pub data: Vec<u8>,
}

/// Why a stream cannot be read on. The connection must be given up, and events after it are lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SseError {
    /// A line longer than the cap.
    #[error("a line of the event stream exceeds {limit} bytes; reconnect and list again")]
    LineTooLong {
        /// The cap.
        limit: usize,
    },
}

/// Writes one event as the BBS does.
pub fn encode(id: u64, event: &str, payload: &[u8]) -> Vec<u8> {
    let data = STANDARD.encode(payload);
    format!("id: {id}\nevent: {event}\ndata: {data}\n\n").into_bytes()
}

impl Frame {
    /// The protobuf message.
    ///
    /// # Errors
    /// The data are not padded standard base64.
    pub fn payload(&self) -> Result<Vec<u8>, base64::DecodeError> {
        STANDARD.decode(&self.data)
    }
}

/// Reads events from pieces of a body, however they are cut.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    line: Vec<u8>,
    current: Frame,
    dirty: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_limit(MAX_LINE)
    }
}

impl Decoder {
    /// A decoder with the usual cap on lines, [`MAX_LINE`].
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder with its own cap on lines, in bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            current: Frame::default(),
            dirty: false,
        }
    }

    /// Takes the next piece of the body and returns the events that are complete with it.
    ///
    /// # Errors
    /// [`SseError::LineTooLong`]; the decoder is of no use afterwards.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<Vec<Frame>, SseError> {
        let mut frames = Vec::new();
        while let Some(end) = piece.iter().position(|&byte| byte == b'\n') {
            self.extend(&piece[..end])?;
            piece = &piece[end + 1..];
            frames.extend(self.end_of_line());
        }
        self.extend(piece)?;
        Ok(frames)
    }

    /// Whether the body ended inside an event, which is then lost.
    pub fn is_mid_event(&self) -> bool {
        self.dirty || !self.line.is_empty()
    }

    fn extend(&mut self, part: &[u8]) -> Result<(), SseError> {
        if self.line.len() + part.len() > self.limit {
            return Err(SseError::LineTooLong { limit: self.limit });
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_of_line(&mut self) -> Option<Frame> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            return std::mem::take(&mut self.dirty).then(|| std::mem::take(&mut self.current));
        }
        self.field(line);
        None
    }

    fn field(&mut self, line: &[u8]) {
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (name, rest) = line.split_at(colon);
        let value = rest.strip_prefix(b":").unwrap_or(rest);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"id" => self.current.id = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
            b"event" => self.current.event = String::from_utf8_lossy(value).into_owned(),
            b"data" => self.current.data.extend_from_slice(value),
            _ => return,
        }
        self.dirty = true;
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_wire_form_is_exact() {
        assert_eq!(
            encode(0, "task_created", b"ab"),
            b"id: 0\nevent: task_created\ndata: YWI=\n\n"
        );
    }

    #[test]
    fn an_empty_payload_is_an_event() {
        let frames = Decoder::new().push(&encode(7, "x", b"")).expect("short lines");
        assert_eq!(
            frames,
            [Frame {
                id: Some(7),
                event: "x".into(),
                data: Vec::new()
            }]
        );
    }

    #[test]
    fn comments_and_carriage_returns_are_tolerated() {
        let mut decoder = Decoder::new();
        assert_eq!(
            decoder.push(b": hello\r\n\r\nretry: 5\n\n").expect("short lines"),
            []
        );
        let frames = decoder
            .push(b"event: e\r\ndata: YQ==\r\n\r\n")
            .expect("short lines");
        assert_eq!(frames[0].payload().expect("base64"), b"a");
        assert!(!decoder.is_mid_event());
    }

    #[test]
    fn a_cut_event_is_noticed() {
        let mut decoder = Decoder::new();
        assert_eq!(
            decoder
                .push(b"id: 0\nevent: e\ndata: YQ==\n")
                .expect("short lines"),
            []
        );
        assert!(decoder.is_mid_event());
    }

    #[test]
    fn a_line_beyond_the_cap_is_an_error() {
        let mut decoder = Decoder::with_limit(8);
        assert_eq!(decoder.push(b"data: 12").expect("at the cap"), []);
        assert_eq!(decoder.push(b"3"), Err(SseError::LineTooLong { limit: 8 }));
    }

    #[test]
    fn bad_base64_is_an_error_of_its_event() {
        let mut decoder = Decoder::new();
        let mut body = b"event: e\ndata: ???\n\n".to_vec();
        body.extend(encode(1, "f", b"ok"));
        let frames = decoder.push(&body).expect("short lines");
        assert!(frames[0].payload().is_err());
        assert_eq!(frames[1].payload().expect("base64"), b"ok");
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
            size in 1usize..17,
        ) {
            let body: Vec<u8> = payloads.iter().enumerate()
                .flat_map(|(id, payload)| encode(id as u64, "e", payload)).collect();
            let mut decoder = Decoder::new();
            let mut seen = Vec::new();
            for piece in body.chunks(size) {
                for frame in decoder.push(piece).expect("short lines") {
                    prop_assert_eq!(frame.id, Some(seen.len() as u64));
                    seen.push(frame.payload().expect("base64"));
                }
            }
            prop_assert_eq!(seen, payloads);
        }
    }
}
