//! A client's socket at the least cost: frames of `ibora.v1`, of which only what benches look at
//! is read.
//!
//! For benches that hold thousands of sockets, or that measure what a bot's own work would hide.
//! Written against the public contract alone. Whoever holds one must keep it alive: it sends
//! nothing by itself but the acknowledgement of an urgent event.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use anyhow::Context;
use ibora::bots::Person;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

/// A frame of a client is masked; with this mask its bytes stay as they are.
const MASK: [u8; 4] = [0; 4];
/// A whole text frame, masked.
const TEXT: u8 = 0x81;
const MASKED: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const OPCODE_TEXT: u8 = 0x1;
const OPCODE_CLOSE: u8 = 0x8;
/// Bytes that are read at once, at least.
const ROOM: usize = 2048;
/// An engine that takes longer to let somebody in is not there.
const OPEN_WITHIN: Duration = Duration::from_secs(15);
/// As long as any bench waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// An open socket.
pub(crate) struct Client {
    stream: TcpStream,
    /// What was read, and how much of it was taken.
    read: Vec<u8>,
    taken: usize,
    /// The newest event that was read, and whether it was acknowledged.
    newest: u64,
    is_acked: bool,
}

/// What a session begins with.
#[derive(Deserialize)]
pub(crate) struct Welcome {
    pub(crate) hb: Heartbeat,
    pub(crate) stream: StreamAt,
    pub(crate) snapshot: Snapshot,
}

#[derive(Deserialize)]
pub(crate) struct Heartbeat {
    pub(crate) idle_ms: u64,
}

/// Where a stream is: what a client tells when it comes back.
#[derive(Deserialize)]
pub(crate) struct StreamAt {
    pub(crate) id: String,
    pub(crate) epoch: String,
    pub(crate) seq: u64,
}

#[derive(Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) ride: Option<Entity>,
}

/// Anything with an id.
#[derive(Deserialize)]
pub(crate) struct Entity {
    pub(crate) id: Uuid,
}

/// The engine's last word on a session: its close code, 0 where it gave none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closed(pub(crate) u16);

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the engine closed a session with {}", self.0)
    }
}

impl std::error::Error for Closed {}

/// The answer to a command: its body, or the code of the refusal.
pub(crate) type Answer = Result<Box<RawValue>, Box<str>>;

/// A frame from the engine.
pub(crate) enum Heard {
    Answer { id: Uuid, answer: Answer },
    Event { op: Box<str>, key: Option<Uuid> },
    Other,
}

#[derive(Deserialize)]
struct Down<'a> {
    #[serde(borrow)]
    t: Cow<'a, str>,
    id: Option<Uuid>,
    seq: Option<u64>,
    #[serde(borrow)]
    op: Option<Cow<'a, str>>,
    key: Option<Uuid>,
    prio: Option<u8>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    d: Option<&'a RawValue>,
}

impl Client {
    /// Connects and says hello.
    pub(crate) async fn open(
        address: SocketAddr,
        person: &Person,
        (device, resume): (Uuid, Option<&StreamAt>),
    ) -> anyhow::Result<(Self, Welcome)> {
        let opening = async {
            let mut client = Self::over(TcpStream::connect(address).await?, address).await?;
            let welcome = client.hello(person, device, resume).await?;
            anyhow::Ok((client, welcome))
        };
        tokio::time::timeout(OPEN_WITHIN, opening).await.context("the engine lets nobody in")?
    }

    /// Makes a socket of a connection.
    pub(crate) async fn over(mut stream: TcpStream, address: SocketAddr) -> anyhow::Result<Self> {
        stream.set_nodelay(true)?;
        let handshake = format!(
            "GET /v1/session HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             Sec-WebSocket-Protocol: ibora.v1\r\n\r\n"
        );
        stream.write_all(handshake.as_bytes()).await?;
        let mut client =
            Self { stream, read: Vec::with_capacity(ROOM), taken: 0, newest: 0, is_acked: true };
        let end = b"\r\n\r\n";
        loop {
            if let Some(at) = client.read.windows(end.len()).position(|bytes| bytes == end) {
                client.taken = at + end.len();
                break;
            }
            client.read_more().await?;
        }
        let head = String::from_utf8_lossy(&client.read[..client.taken]);
        let line = head.lines().next().unwrap_or_default();
        anyhow::ensure!(line.contains(" 101 "), "the engine let nobody in: {line}");
        Ok(client)
    }

    /// Says who this is; returns what the engine answers.
    pub(crate) async fn hello(
        &mut self,
        person: &Person,
        device: Uuid,
        resume: Option<&StreamAt>,
    ) -> anyhow::Result<Welcome> {
        let mut hello = json!({
            "t": "hello", "v": 1, "auth": {"bearer": &*person.token}, "device": device,
            "app": "bench/1",
        });
        if let Some(StreamAt { id, epoch, seq }) = resume {
            hello["resume"] = json!({"stream": id, "epoch": epoch, "seq": seq});
        }
        self.send(&hello.to_string()).await?;
        let text = self.frame().await?;
        let welcome: Welcome = serde_json::from_slice(&self.read[text])?;
        self.newest = welcome.stream.seq;
        Ok(welcome)
    }

    /// Asks for a change, under this id; what comes before its answer is passed over.
    pub(crate) async fn ask(
        &mut self,
        id: Uuid,
        (op, key): (&str, Option<Uuid>),
        d: &Value,
    ) -> anyhow::Result<Answer> {
        self.send(&command(id, (op, key), d)).await?;
        let answered = async {
            loop {
                match self.next().await? {
                    Heard::Answer { id: of, answer } if of == id => return anyhow::Ok(answer),
                    Heard::Answer { .. } | Heard::Event { .. } | Heard::Other => {}
                }
            }
        };
        tokio::time::timeout(ANSWER_WITHIN, answered).await.with_context(|| format!("no {op}"))?
    }

    /// Asks for what must go well, under a new id.
    pub(crate) async fn done(
        &mut self,
        of: (&str, Option<Uuid>),
        d: &Value,
    ) -> anyhow::Result<Box<RawValue>> {
        let answer = self.ask(Uuid::now_v7(), of, d).await?;
        answer.map_err(|code| anyhow::anyhow!("{} refused: {code}", of.0))
    }

    /// Waits until this was told of this entity.
    pub(crate) async fn told(&mut self, op: &str, key: Uuid) -> anyhow::Result<()> {
        let told = async {
            loop {
                match self.next().await? {
                    Heard::Event { op: what, key: Some(of) } if of == key && *what == *op => {
                        return anyhow::Ok(());
                    }
                    Heard::Event { .. } | Heard::Answer { .. } | Heard::Other => {}
                }
            }
        };
        tokio::time::timeout(ANSWER_WITHIN, told).await.with_context(|| format!("no {op}"))?
    }

    /// The next frame. May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// Where the engine ended the session.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Heard> {
        let text = self.frame().await?;
        let down: Down<'_> = serde_json::from_slice(&self.read[text])?;
        if let Some(seq) = down.seq {
            let heard =
                Heard::Event { op: down.op.as_deref().unwrap_or_default().into(), key: down.key };
            let is_urgent = down.prio == Some(1);
            (self.newest, self.is_acked) = (seq, false);
            if is_urgent {
                self.acknowledge().await?;
            }
            return Ok(heard);
        }
        Ok(match (&*down.t, down.id) {
            ("res", Some(id)) => {
                Heard::Answer { id, answer: Ok(down.d.unwrap_or(RawValue::NULL).to_owned()) }
            }
            ("err", Some(id)) => {
                let code = down.code.as_deref().unwrap_or_default().into();
                Heard::Answer { id, answer: Err(code) }
            }
            _ => Heard::Other,
        })
    }

    /// The next frame as it came, for one who reads everything. May be dropped while it waits.
    ///
    /// # Errors
    /// Where the session ended; [`Closed`] where the engine said so.
    pub(crate) async fn next_text(&mut self) -> anyhow::Result<&[u8]> {
        let text = self.frame().await?;
        Ok(&self.read[text])
    }

    /// How long the next frame is, whatever it says.
    pub(crate) async fn next_length(&mut self) -> anyhow::Result<usize> {
        Ok(self.frame().await?.len())
    }

    /// A sign of life, and the acknowledgement of what was not urgent.
    pub(crate) async fn beat(&mut self) -> anyhow::Result<()> {
        if self.is_acked {
            self.send(r#"{"t":"ping","ts":0}"#).await
        } else {
            self.acknowledge().await
        }
    }

    /// Where the stream is, for the next hello.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    pub(crate) async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.stream.write_all(&framed(text.as_bytes())?).await?)
    }

    /// The connection; what was read of it and not taken is forgotten.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    async fn acknowledge(&mut self) -> anyhow::Result<()> {
        self.is_acked = true;
        let mut text = Vec::with_capacity(48);
        write!(&mut text, r#"{{"t":"ack","seq":{}}}"#, self.newest)?;
        Ok(self.stream.write_all(&framed(&text)?).await?)
    }

    /// Where the text of the next frame is in what was read.
    async fn frame(&mut self) -> anyhow::Result<Range<usize>> {
        loop {
            if let Some(text) = self.whole()? {
                return Ok(text);
            }
            self.read_more().await?;
        }
    }

    /// The text of a frame that was read as a whole. Other frames are passed over.
    fn whole(&mut self) -> anyhow::Result<Option<Range<usize>>> {
        loop {
            let bytes = &self.read[self.taken..];
            let (length, head) = match *bytes {
                [_, 126, high, low, ..] => (usize::from(u16::from_be_bytes([high, low])), 4),
                [_, 127, a, b, c, d, e, f, g, h, ..] => {
                    (usize::try_from(u64::from_be_bytes([a, b, c, d, e, f, g, h]))?, 10)
                }
                [_, short, ..] if short < 126 => (usize::from(short), 2),
                _ => return Ok(None),
            };
            let (opcode, body) = (bytes[0] & OPCODE, self.taken + head..self.taken + head + length);
            if self.read.len() < body.end {
                return Ok(None);
            }
            self.taken = body.end;
            match opcode {
                OPCODE_TEXT => return Ok(Some(body)),
                OPCODE_CLOSE => {
                    let said = &self.read[body];
                    let code = said.first_chunk().map_or(0, |code| u16::from_be_bytes(*code));
                    return Err(Closed(code).into());
                }
                _ => {}
            }
        }
    }

    async fn read_more(&mut self) -> anyhow::Result<()> {
        self.read.drain(..self.taken);
        self.taken = 0;
        self.read.reserve(ROOM);
        let read = self.stream.read_buf(&mut self.read).await?;
        anyhow::ensure!(read > 0, "the engine closed a connection");
        Ok(())
    }
}

/// A command as text.
pub(crate) fn command(id: Uuid, (op, key): (&str, Option<Uuid>), d: &Value) -> String {
    match key {
        Some(key) => format!(r#"{{"t":"cmd","id":"{id}","op":"{op}","key":"{key}","d":{d}}}"#),
        None => format!(r#"{{"t":"cmd","id":"{id}","op":"{op}","d":{d}}}"#),
    }
}

/// A text as a client's frame.
pub(crate) fn framed(text: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut frame = Vec::with_capacity(text.len() + 8);
    frame.push(TEXT);
    match u8::try_from(text.len()) {
        Ok(short) if short < 126 => frame.push(MASKED | short),
        _ => {
            frame.push(MASKED | 126);
            frame.extend(u16::try_from(text.len()).context("too long")?.to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(text);
    Ok(frame)
}
