//! A WebSocket client that can do everything wrong: its frames are made by hand, byte for byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::machine::EVER;

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
/// The last frame of its message.
pub(crate) const LAST: u8 = 0x80;

/// A client's frame: `first` is its first byte, flags and opcode.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    bytes.extend(length(payload.len()));
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn length(length: usize) -> Vec<u8> {
    match length {
        0..126 => vec![0x80 | u8::try_from(length).expect("short")],
        126..65_536 => {
            let wide = u16::try_from(length).expect("fits").to_be_bytes();
            [&[0x80 | 126][..], &wide].concat()
        }
        _ => [&[0x80 | 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

/// A whole message.
pub(crate) fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(LAST | TEXT, payload.as_ref())
}

/// A close frame with a code and a reason.
pub(crate) fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(LAST | CLOSE, &[&code.to_be_bytes()[..], reason].concat())
}

/// An open socket.
pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    /// Connects to `path` of the server at `address`, which makes a WebSocket of it.
    pub(crate) async fn open(address: &str, path: &str) -> Self {
        let (wire, head) = Self::ask(address, path).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let accept = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=";
        assert!(head.to_ascii_lowercase().contains(accept), "{head}");
        wire
    }

    /// Asks for a WebSocket; the head of the answer.
    pub(crate) async fn ask(address: &str, path: &str) -> (Self, String) {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.set_nodelay(true).expect("a socket");
        let asked = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ibora.v1\r\n\r\n"
        );
        stream.write_all(asked.as_bytes()).await.expect("sent");
        let mut wire = Self { stream, read: Vec::new() };
        let head = loop {
            if let Some(end) = wire.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break wire.read.drain(..end + 4).collect::<Vec<_>>();
            }
            assert!(wire.more().await, "no answer");
        };
        (wire, String::from_utf8(head).expect("text"))
    }

    /// Sends bytes; that nobody takes them any more is told by what is read.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.ok();
    }

    /// Opcode and payload of the next frame, which must be whole and unmasked; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        while !self.has(2) {
            if !self.more().await {
                assert!(self.read.is_empty(), "half a frame");
                return None;
            }
        }
        let [first, short] = [self.read[0], self.read[1]];
        assert_eq!(first & 0xf0, LAST, "in one frame, without reserved bits");
        assert!(short < 128, "a server masks nothing");
        let wide = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        while !self.has(2 + wide) {
            assert!(self.more().await, "half a header");
        }
        let length = self.read[2..2 + wide].iter();
        let length = length.fold(0, |length: usize, byte| length << 8 | usize::from(*byte));
        let length = if wide == 0 { usize::from(short) } else { length };
        while !self.has(2 + wide + length) {
            assert!(self.more().await, "half a payload");
        }
        self.read.drain(..2 + wide);
        Some((first & 0x0f, self.read.drain(..length).collect()))
    }

    /// The code of the close frame that must come next; `Some(None)` without a code.
    pub(crate) async fn closed(&mut self) -> Option<Option<u16>> {
        let (op, payload) = self.next().await?;
        assert_eq!(op, CLOSE, "{payload:?}");
        Some(payload.first_chunk().map(|code| u16::from_be_bytes(*code)))
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn shut(&mut self) {
        self.stream.shutdown().await.ok();
    }

    fn has(&self, count: usize) -> bool {
        self.read.len() >= count
    }

    async fn more(&mut self) -> bool {
        let more = self.stream.read_buf(&mut self.read);
        let more = tokio::time::timeout(EVER, more).await.expect("something comes");
        more.is_ok_and(|count| count > 0)
    }
}
