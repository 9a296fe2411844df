//! `GET /test/echo`: says back what it hears, over the transport that sessions have, so that a
//! public suite can judge that transport. `app` mounts it only where it is asked to.

use actix_web::{HttpRequest, HttpResponse, web};

use super::close::Close;
use super::socket::{self, Reader, Writer};
use super::wire::{Message, Op};

/// The longest message: suites send some of 16 MiB.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Mounts `GET /test/echo`.
pub fn configure_echo(routes: &mut web::ServiceConfig) {
    routes.route("/test/echo", web::get().to(open));
}

async fn open(request: HttpRequest, body: web::Payload) -> HttpResponse {
    socket::upgrade(&request, body, (None, MESSAGE_BYTES_MAX), run)
}

async fn run(mut reader: Reader, writer: Writer) {
    let close = echo(&mut reader, &writer).await;
    close.say(reader, writer).await;
}

async fn echo(reader: &mut Reader, writer: &Writer) -> Close {
    loop {
        let (op, payload) = match reader.next().await {
            Ok(Message::Text(text)) => (Op::Text, text.into_bytes()),
            Ok(Message::Binary(bytes)) => (Op::Binary, bytes),
            Ok(Message::Ping(bytes)) => (Op::Pong, bytes),
            Ok(Message::Pong) => continue,
            Ok(Message::Close(code)) => return Close::Bye { code },
            Err(broken) => return broken.into(),
        };
        if writer.send(op, &payload).await.is_err() {
            return Close::Gone;
        }
    }
}
