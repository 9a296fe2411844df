//! One connection through the proxy: both ways at once, piece by piece as its judge says.
//!
//! Used by the proxy only. A link that fell silent keeps both its sockets until both ends have
//! given them up: what is behind a broken route hears of no end either.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use super::Weather;
use super::judge::{Fate, Judge, Way};

/// Read at once.
const CHUNK: usize = 64 * 1024;

pub(super) struct Link {
    judge: Mutex<Box<dyn Judge>>,
    weather: watch::Receiver<Weather>,
    /// Told from outside.
    told_silent: watch::Receiver<bool>,
    /// Something was lost: nothing more gets through.
    silent: watch::Sender<bool>,
}

/// How a way ended.
enum End {
    /// There is no more to come.
    Closed,
    /// The whole link is to end.
    Cut,
}

impl Link {
    pub(super) fn new(
        judge: Box<dyn Judge>,
        weather: watch::Receiver<Weather>,
        told_silent: watch::Receiver<bool>,
    ) -> Self {
        Self { judge: Mutex::new(judge), weather, told_silent, silent: watch::Sender::new(false) }
    }

    /// Forwards until both ways have ended, or one is cut.
    pub(super) async fn run<CR, CW, SR, SW>(self, client: (CR, CW), server: (SR, SW))
    where
        CR: AsyncRead + Unpin,
        CW: AsyncWrite + Unpin,
        SR: AsyncRead + Unpin,
        SW: AsyncWrite + Unpin,
    {
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client, server);
        let up = self.pump(Way::Up, &mut from_client, &mut to_server);
        let down = self.pump(Way::Down, &mut from_server, &mut to_client);
        tokio::pin!(up, down);
        tokio::select! {
            end = &mut up => if matches!(end, End::Closed) { down.await; },
            end = &mut down => if matches!(end, End::Closed) { up.await; },
        }
    }

    async fn pump(
        &self,
        way: Way,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> End {
        let mut bytes = Vec::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match from.read(&mut chunk).await {
                Ok(0) | Err(_) => {
                    // The end is lost like everything else on a link that is silent.
                    let cut = !self.is_silent() && to.shutdown().await.is_err();
                    return if cut { End::Cut } else { End::Closed };
                }
                Ok(count) => count,
            };
            bytes.extend_from_slice(&chunk[..count]);
            if self.is_silent() {
                bytes.clear();
                continue;
            }
            let mut at = 0;
            while let Some(piece) = self.next_piece(way, &bytes[at..]) {
                let piece = &bytes[at..at + piece];
                at += piece.len();
                if let Some(end) = self.carry(way, piece, to).await {
                    return end;
                }
            }
            bytes.drain(..at);
        }
    }

    fn next_piece(&self, way: Way, bytes: &[u8]) -> Option<usize> {
        if bytes.is_empty() {
            return None;
        }
        self.judge.lock().piece(way, bytes).map(|length| length.clamp(1, bytes.len()))
    }

    /// Does with a piece what its judge and the weather say.
    async fn carry(
        &self,
        way: Way,
        piece: &[u8],
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Option<End> {
        let fate = self.judge.lock().fate(way, piece);
        let mut late = self.weather.borrow().delay[way as usize];
        match fate {
            Fate::Lose => return None,
            Fate::Cut => return Some(End::Cut),
            Fate::Silence => {
                self.silent.send_replace(true);
                return None;
            }
            Fate::Late(more) => late += more,
            Fate::Pass | Fate::PassAndCut => {}
        }
        if late > Duration::ZERO {
            tokio::time::sleep(late).await;
        }
        if self.is_silent() {
            return None;
        }
        if to.write_all(piece).await.is_err() {
            return Some(End::Cut);
        }
        (fate == Fate::PassAndCut).then_some(End::Cut)
    }

    /// Asked where something would be carried: from the first loss on it is silent for ever.
    fn is_silent(&self) -> bool {
        if self.weather.borrow().hold || *self.told_silent.borrow() {
            self.silent.send_replace(true);
        }
        *self.silent.borrow()
    }
}
