//! Frames of WebSocket (RFC 6455), as a server reads and writes them. Knows no socket and no clock.
//!
//! What a client sends is judged as it comes: a header that breaks the rules, a message that would
//! grow too long, a byte that is no UTF-8 end the reading there and then, whatever was announced to
//! follow. So what is held is bounded by what a message may have, and nobody sends in vain. No
//! extension is ever agreed on, so none of the reserved bits means anything.

use actix_web::web::{Bytes, BytesMut};

/// Longest payload of a control frame.
const CONTROL_BYTES_MAX: usize = 125;
/// Bytes of a header: two, the longest length, the mask.
const HEAD_BYTES_MAX: usize = 2 + 8 + 4;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// A whole message of a client, or a control frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    /// With the code that it came with. Nothing counts that comes after it.
    Close(Option<u16>),
}

/// How a client broke the rules. Nothing it sends afterwards is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Protocol,
    InvalidUtf8,
    TooLarge,
}

impl Op {
    const fn number(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Reads messages out of the bytes of a connection, in whatever pieces those come.
pub(super) struct Decoder {
    message_bytes_max: usize,
    /// Came, and was not looked at yet.
    input: Bytes,
    head: [u8; HEAD_BYTES_MAX],
    head_len: usize,
    frame: Option<Frame>,
    /// What the message is that began and did not end.
    open: Option<Op>,
    message: Vec<u8>,
    /// Bytes of the message that are known to be UTF-8.
    checked: usize,
    control: Vec<u8>,
}

/// A frame whose payload is coming.
#[derive(Clone, Copy)]
struct Frame {
    op: Op,
    is_last: bool,
    /// Begins with the byte for what comes next.
    mask: [u8; 4],
    left: usize,
}

impl Decoder {
    pub(super) fn new(message_bytes_max: usize) -> Self {
        Self {
            message_bytes_max,
            input: Bytes::new(),
            head: [0; HEAD_BYTES_MAX],
            head_len: 0,
            frame: None,
            open: None,
            message: Vec::new(),
            checked: 0,
            control: Vec::new(),
        }
    }

    /// Takes bytes. Those before must have been read: [`Decoder::next`] asked for more.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.input = bytes;
    }

    /// The next message; `None` where more bytes are needed.
    ///
    /// # Errors
    /// [`Fault`]
    pub(super) fn next(&mut self) -> Result<Option<Message>, Fault> {
        loop {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.head()? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            let frame = self.payload(frame);
            if frame.left > 0 {
                self.frame = Some(frame);
                return self.check_text().map(|()| None);
            }
            if let Some(message) = self.ended(frame)? {
                return Ok(Some(message));
            }
        }
    }

    /// Reads a header, once it is there; judges it as soon as it can.
    fn head(&mut self) -> Result<Option<Frame>, Fault> {
        if !self.fill_head(2) {
            return Ok(None);
        }
        let [first, second] = [self.head[0], self.head[1]];
        let (is_last, reserved, short) = (first & 0x80 != 0, first & 0x70, second & 0x7f);
        let op = Op::of(first & 0x0f).ok_or(Fault::Protocol)?;
        let is_masked = second & 0x80 != 0;
        let in_turn = match op {
            Op::Continuation => self.open.is_some(),
            Op::Text | Op::Binary => self.open.is_none(),
            Op::Close | Op::Ping | Op::Pong => is_last && usize::from(short) <= CONTROL_BYTES_MAX,
        };
        if reserved != 0 || !is_masked || !in_turn {
            return Err(Fault::Protocol);
        }
        let wide = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if !self.fill_head(2 + wide + 4) {
            return Ok(None);
        }
        let (length, mask) = self.head[2..].split_at(wide);
        let length = match wide {
            0 => u64::from(short),
            _ => length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        if length >> 63 != 0 {
            return Err(Fault::Protocol);
        }
        let mask = [mask[0], mask[1], mask[2], mask[3]];
        let left = usize::try_from(length).unwrap_or(usize::MAX);
        if !op.is_control() && left > self.message_bytes_max - self.message.len() {
            return Err(Fault::TooLarge);
        }
        if matches!(op, Op::Text | Op::Binary) {
            self.open = Some(op);
        }
        self.head_len = 0;
        Ok(Some(Frame { op, is_last, mask, left }))
    }

    /// Whether so many bytes of the header are there.
    fn fill_head(&mut self, wanted: usize) -> bool {
        let take = wanted.saturating_sub(self.head_len).min(self.input.len());
        let bytes = self.input.split_to(take);
        self.head[self.head_len..self.head_len + take].copy_from_slice(&bytes);
        self.head_len += take;
        self.head_len >= wanted
    }

    /// Takes what is there of a frame's payload.
    fn payload(&mut self, mut frame: Frame) -> Frame {
        let bytes = self.input.split_to(frame.left.min(self.input.len()));
        let into = if frame.op.is_control() { &mut self.control } else { &mut self.message };
        let from = into.len();
        into.extend_from_slice(&bytes);
        for four in into[from..].chunks_mut(4) {
            four.iter_mut().zip(frame.mask).for_each(|(byte, mask)| *byte ^= mask);
        }
        frame.mask.rotate_left(bytes.len() % 4);
        frame.left -= bytes.len();
        frame
    }

    /// What a frame that is whole makes.
    fn ended(&mut self, frame: Frame) -> Result<Option<Message>, Fault> {
        match frame.op {
            Op::Ping => Ok(Some(Message::Ping(std::mem::take(&mut self.control)))),
            Op::Pong => {
                self.control.clear();
                Ok(Some(Message::Pong))
            }
            Op::Close => close_code(&self.control).map(|code| Some(Message::Close(code))),
            Op::Continuation | Op::Text | Op::Binary if !frame.is_last => {
                self.check_text().map(|()| None)
            }
            Op::Continuation | Op::Text | Op::Binary => {
                let message = std::mem::take(&mut self.message);
                self.checked = 0;
                Ok(Some(match self.open.take() {
                    Some(Op::Text) => {
                        Message::Text(String::from_utf8(message).map_err(|_| Fault::InvalidUtf8)?)
                    }
                    _ => Message::Binary(message),
                }))
            }
        }
    }

    /// Looks at what is new of a text that is not whole; a character may end with what follows.
    fn check_text(&mut self) -> Result<(), Fault> {
        if self.open != Some(Op::Text) {
            return Ok(());
        }
        let new = &self.message[self.checked..];
        self.checked += match std::str::from_utf8(new) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Err(Fault::InvalidUtf8),
        };
        Ok(())
    }
}

/// The code of a close frame, where it has one.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Fault> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(Fault::Protocol) };
    };
    let code = u16::from_be_bytes(*code);
    // Those that the protocol and its registry name, less those that are never sent; then those
    // of libraries and applications.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Fault::Protocol);
    }
    std::str::from_utf8(reason).map_err(|_| Fault::InvalidUtf8)?;
    Ok(Some(code))
}

/// Writes a whole message, or a control frame, of at most 125 bytes then.
pub(super) fn encode(op: Op, payload: &[u8], into: &mut BytesMut) {
    into.reserve(HEAD_BYTES_MAX + payload.len());
    into.extend_from_slice(&[0x80 | op.number()]);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..=125), _) => into.extend_from_slice(&[short]),
        (_, Ok(length)) => {
            into.extend_from_slice(&[126]);
            into.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            into.extend_from_slice(&[127]);
            into.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    into.extend_from_slice(payload);
}

/// Writes the last frame, with why where there is a code.
pub(super) fn encode_close(code: Option<u16>, word: &str, into: &mut BytesMut) {
    let mut payload = Vec::new();
    if let Some(code) = code {
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(word.as_bytes());
    }
    encode(Op::Close, &payload, into);
}

#[cfg(test)]
mod tests;
