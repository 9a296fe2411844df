//! A driver's socket at the least cost: frames are bytes that were made once, and what comes back
//! is thrown away.

use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;

use ibora::bots::Person;
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::client::{Client, framed};

/// Where, in the text of a point, its time and the last digits of its place are.
const BEFORE_TIME: &str = r#"{"t":"tel","n":1000000,"pts":[["#;
const DIGITS_OF_TIME: usize = 13;

/// An open session of a driver.
pub(super) struct Line {
    stream: TcpStream,
    frame: Vec<u8>,
    /// Where the time begins in the frame, and the last four digits of the latitude.
    time_at: usize,
    place_at: usize,
    buffer: Vec<u8>,
    /// What the socket did not take yet.
    rest: usize,
    step: u32,
    /// Time of the last point: the next is never before it.
    last_ms: u64,
    scratch: Box<[u8]>,
}

impl Line {
    /// Connects and says hello; returns when the engine has answered.
    pub(super) async fn connect(
        address: SocketAddr,
        person: &Person,
        number: usize,
    ) -> anyhow::Result<Self> {
        let (client, _) = Client::open(address, person, (Uuid::now_v7(), None)).await?;
        let stream = client.into_stream();
        let (row, column) = (number / 100, number % 100);
        let text = format!(
            "{BEFORE_TIME}{:0DIGITS_OF_TIME$},-23.{row:03}000,-46.{column:03}000,8,11.5,270.0]]}}",
            0
        );
        let frame = framed(text.as_bytes())?;
        let time_at = frame.len() - text.len() + BEFORE_TIME.len();
        // Behind the time: `,-23.rrr`, then the digits that change.
        let place_at = time_at + DIGITS_OF_TIME + ",-23.rrr".len();
        let scratch = vec![0; 2048].into_boxed_slice();
        let (buffer, rest, step, last_ms) = (Vec::new(), 0, 0, 0);
        Ok(Self { stream, frame, time_at, place_at, buffer, rest, step, last_ms, scratch })
    }

    /// Sends so many points, the last of now. False where the socket is full.
    ///
    /// # Errors
    /// Where the engine closed it.
    pub(super) fn send(&mut self, frames: usize, now_ms: u64) -> anyhow::Result<bool> {
        self.drain()?;
        if self.rest > 0 && !self.flush()? {
            return Ok(false);
        }
        self.buffer.clear();
        for before in (0..u64::try_from(frames)?).rev() {
            self.step = (self.step + 7) % 1000;
            self.last_ms = self.last_ms.max(now_ms - before);
            let time = &mut self.frame[self.time_at..self.time_at + DIGITS_OF_TIME];
            write!(&mut *time, "{:0DIGITS_OF_TIME$}", self.last_ms)?;
            let place = &mut self.frame[self.place_at..self.place_at + 3];
            write!(&mut *place, "{:03}", self.step)?;
            self.buffer.extend_from_slice(&self.frame);
        }
        self.rest = self.buffer.len();
        self.flush()?;
        Ok(true)
    }

    /// Reads what the engine says and forgets it.
    fn drain(&mut self) -> anyhow::Result<()> {
        match self.stream.try_read(&mut self.scratch) {
            Ok(0) => anyhow::bail!("the engine closed a session"),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&mut self) -> anyhow::Result<bool> {
        while self.rest > 0 {
            let from = self.buffer.len() - self.rest;
            match self.stream.try_write(&self.buffer[from..]) {
                Ok(written) => self.rest -= written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}
