//! The socket under a session: the handshake, and the two ends of what follows it.
//!
//! All of it lives on the thread that serves the connection. What waits in here to be written is
//! bounded; bytes beyond wait with whoever wants to write.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_http::Response;
use actix_http::ws::handshake;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::web::{Bytes, BytesMut, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt;

use super::wire::{self, Decoder, Fault, Message, Op};

/// Bytes that may wait in here for the connection, and one frame more.
const ROOM: usize = 2 << 10;

/// Nobody is there any more.
#[derive(Debug)]
pub(super) struct Closed;

/// Why there is no next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The connection ended without a close frame.
    Gone,
    Fault(Fault),
}

/// Makes a connection a WebSocket, whose two ends `serve` has, and answers so. It ends when its
/// writer is dropped. A request that asks for no WebSocket is refused.
pub(super) fn upgrade<Serving>(
    request: &HttpRequest,
    payload: Payload,
    (protocol, message_bytes_max): (Option<&'static str>, usize),
    serve: impl FnOnce(Reader, Writer) -> Serving,
) -> HttpResponse
where
    Serving: Future<Output = ()> + 'static,
{
    let mut answer = match handshake(request.head()) {
        Ok(answer) => answer,
        Err(error) => return Response::from(error).map_into_boxed_body().into(),
    };
    if let Some(protocol) = protocol {
        answer.insert_header((SEC_WEBSOCKET_PROTOCOL, protocol));
    }
    let flow = Rc::new(RefCell::new(Flow::default()));
    match answer.message_body(BoxBody::new(Outflow(Rc::clone(&flow)))) {
        Ok(answer) => {
            let reader = Reader { payload, decoder: Decoder::new(message_bytes_max) };
            actix_web::rt::spawn(serve(reader, Writer(flow)));
            answer.into()
        }
        Err(error) => HttpResponse::from_error(error),
    }
}

/// What a client says.
pub(super) struct Reader {
    payload: Payload,
    decoder: Decoder,
}

impl Reader {
    /// The next message. May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// [`Broken`]; then there is nothing more to be read.
    pub(super) async fn next(&mut self) -> Result<Message, Broken> {
        loop {
            if let Some(message) = self.decoder.next().map_err(Broken::Fault)? {
                return Ok(message);
            }
            match self.payload.next().await {
                Some(Ok(bytes)) => self.decoder.push(bytes),
                Some(Err(_)) | None => return Err(Broken::Gone),
            }
        }
    }

    /// Reads on, for nothing, until the client ends the connection.
    pub(super) async fn drain(&mut self) {
        while let Some(Ok(_)) = self.payload.next().await {}
    }
}

/// What is said to a client. One at a time may wait for room.
pub(super) struct Writer(Rc<RefCell<Flow>>);

impl Writer {
    /// Writes a frame, once there is room.
    ///
    /// # Errors
    /// [`Closed`]
    pub(super) async fn send(&self, op: Op, payload: &[u8]) -> Result<(), Closed> {
        poll_fn(|cx| {
            let mut flow = self.0.borrow_mut();
            if flow.is_full() {
                flow.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        self.offer(op, payload)
    }

    /// Writes a frame where there is room, and otherwise none.
    ///
    /// # Errors
    /// [`Closed`]
    pub(super) fn offer(&self, op: Op, payload: &[u8]) -> Result<(), Closed> {
        let mut flow = self.0.borrow_mut();
        if flow.ended {
            return Err(Closed);
        }
        if !flow.is_full() {
            wire::encode(op, payload, &mut flow.bytes);
            flow.wake_body();
        }
        Ok(())
    }

    /// Writes the last frame: who reads on is told why it ends.
    pub(super) fn close(&self, code: Option<u16>, word: &str) {
        let mut flow = self.0.borrow_mut();
        wire::encode_close(code, word, &mut flow.bytes);
        flow.wake_body();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut flow = self.0.borrow_mut();
        flow.ended = true;
        flow.wake_body();
    }
}

/// What is on its way from the writer to the connection.
#[derive(Default)]
struct Flow {
    bytes: BytesMut,
    /// The writer or the connection is gone.
    ended: bool,
    body: Option<Waker>,
    writer: Option<Waker>,
}

impl Flow {
    fn is_full(&self) -> bool {
        self.bytes.len() >= ROOM && !self.ended
    }

    fn wake_body(&mut self) {
        if let Some(body) = self.body.take() {
            body.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

/// The answer's body, which lasts as long as the connection.
struct Outflow(Rc<RefCell<Flow>>);

impl MessageBody for Outflow {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let mut flow = self.0.borrow_mut();
        if !flow.bytes.is_empty() {
            flow.wake_writer();
            // Handed over whole: a socket that is idle keeps no buffer.
            return Poll::Ready(Some(Ok(std::mem::take(&mut flow.bytes).freeze())));
        }
        if flow.ended {
            return Poll::Ready(None);
        }
        flow.body = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Outflow {
    fn drop(&mut self) {
        let mut flow = self.0.borrow_mut();
        flow.ended = true;
        flow.bytes = BytesMut::new();
        flow.wake_writer();
    }
}
