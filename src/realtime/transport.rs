//! The socket of a session: the handshake, the reader, the writer, and the end.
//!
//! Reader and writer are one task, so that a session costs one. What the reader has to say goes
//! through the outbox; it reads no further while too many answers wait there. A write that does not
//! get through ends the session.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_http::ws::verify_handshake;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use actix_web::{HttpRequest, HttpResponse, web};
use ibora_domain::ids::DriverId;
use ibora_domain::person::Role;
use tokio::time::{sleep, sleep_until, timeout};
use uuid::Uuid;

use super::Shared;
use super::close::Close;
use super::frames::{self, Hello, NoHello};
use super::hub::{Entrant, Membership};
use super::opening::Holder;
use super::outbox::{Bounds, Next, Outbox};
use super::socket::{self, Broken, Reader, Writer};
use super::strangers::Stranger;
use super::wire::{Message, Op};
use super::work::Link;
use crate::network::{REQUEST_ID, named};
use crate::obs::failpoint;

/// The name of the protocol.
const PROTOCOL: &str = "ibora.v1";

/// `GET /v1/session`.
pub(super) async fn open(
    request: HttpRequest,
    body: web::Payload,
    shared: web::Data<Shared>,
) -> HttpResponse {
    if let Some(refused) = refused(&request, &shared) {
        return refused;
    }
    let address = shared.options.proxies.client_of(&request);
    let Some(stranger) = shared.strangers.enter(address) else {
        shared.counters.turned_away();
        return problem(&request, StatusCode::SERVICE_UNAVAILABLE, "overloaded", None);
    };
    let frame_max = shared.options.frame_bytes_max;
    socket::upgrade(&request, body, (Some(PROTOCOL), frame_max), |reader, writer| {
        run(shared.into_inner(), stranger, reader, writer)
    })
}

/// The path has no other method.
pub(super) async fn other_method(request: HttpRequest) -> HttpResponse {
    let (status, detail) = (StatusCode::METHOD_NOT_ALLOWED, "this path takes GET");
    let mut response = problem(&request, status, "method_not_allowed", Some(detail));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    response
}

/// Why a handshake is refused, if it is.
fn refused(request: &HttpRequest, shared: &Shared) -> Option<HttpResponse> {
    if verify_handshake(request.head()).is_err() {
        let detail = "this is no handshake of a WebSocket";
        return Some(problem(request, StatusCode::BAD_REQUEST, "malformed", Some(detail)));
    }
    let origins = &shared.options.allowed_origins;
    let foreign = |origin: &_| !origins.iter().any(|allowed| allowed.as_bytes() == origin);
    if request.headers().get_all(ORIGIN).any(|origin| foreign(origin.as_bytes())) {
        let detail = "this origin may open no session";
        return Some(problem(request, StatusCode::FORBIDDEN, "forbidden", Some(detail)));
    }
    let mut named = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let spoken = named.any(|names| {
        names.to_str().is_ok_and(|names| names.split(',').any(|name| name.trim() == PROTOCOL))
    });
    if !spoken {
        let detail = "Sec-WebSocket-Protocol must name ibora.v1";
        return Some(problem(request, StatusCode::BAD_REQUEST, "malformed", Some(detail)));
    }
    let stays_away = match shared.dispatch.may_act() {
        Err(refusal) => Some(refusal.code()),
        Ok(()) => shared.hub.is_draining().then_some("unavailable"),
    };
    stays_away.map(|code| problem(request, StatusCode::SERVICE_UNAVAILABLE, code, None))
}

fn problem(
    request: &HttpRequest,
    status: StatusCode,
    code: &str,
    detail: Option<&str>,
) -> HttpResponse {
    let id = named(request.headers(), &REQUEST_ID);
    let title = status.canonical_reason().unwrap_or_default();
    let kind = format!("urn:ibora:problem:{code}");
    let mut body = serde_json::json!({
        "type": kind, "title": title, "status": status.as_u16(), "code": code,
        "request_id": id,
    });
    if let Some(detail) = detail {
        body["detail"] = detail.into();
    }
    let mut response = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // Nor is the connection kept, which would cost as much as what was refused.
        response.insert_header(("Retry-After", "1")).force_close();
    }
    response.insert_header((REQUEST_ID, id));
    response.content_type("application/problem+json").body(body.to_string())
}

/// A session from its handshake to its end.
async fn run(shared: Arc<Shared>, stranger: Stranger, mut reader: Reader, writer: Writer) {
    let close = converse(&shared, stranger, &mut reader, &writer).await;
    shared.counters.closed(close);
    // One who does not read gets it only if he reads on soon.
    close.say(reader, writer).await;
}

async fn converse(
    shared: &Arc<Shared>,
    stranger: Stranger,
    reader: &mut Reader,
    writer: &Writer,
) -> Close {
    // Boxed: what opening takes, the hello with its token too, is gone while the session lives.
    let (link, presence) = match Box::pin(begin(shared, stranger, reader, writer)).await {
        Ok(begun) => begun,
        Err(close) => return close,
    };
    let mut writing = pin!(write(&link, writer));
    let close = tokio::select! {
        biased;
        close = &mut writing => return close,
        close = read(&link, reader, writer) => match close {
            // Not heard by an engine that slept itself, and so may have been replaced.
            Close::Silent if shared.dispatch.may_act().is_err() => Close::Moved,
            close => close,
        },
    };
    drop(presence);
    link.outbox.close(close);
    timeout(shared.options.write_timeout, writing).await.unwrap_or(Close::Slow)
}

/// From the first frame to the welcome.
async fn begin(
    shared: &Arc<Shared>,
    stranger: Stranger,
    reader: &mut Reader,
    writer: &Writer,
) -> Result<(Link, Presence), Close> {
    let patience = shared.options.hello_timeout;
    let hello = match timeout(patience, first_frame(reader, writer)).await {
        Ok(hello) => hello?,
        Err(_) => return Err(Close::HelloTimeout),
    };
    shared.counters.hellos.inc();
    let holder = shared.admit(&hello, Instant::now())?;
    drop(stranger);
    failpoint!(SessionHello);
    if shared.hub.sessions() >= shared.options.sessions_max {
        return Err(Close::Connections);
    }
    // After a start all come back at once: they are read together, before the first of them is
    // looked at.
    let latest = Instant::now() + patience;
    let read = timeout(patience, shared.dispatch.journal().preloaded()).await;
    let place = match read {
        Ok(()) => shared.turnstile.pass(holder.caller.user, latest).await,
        Err(_) => None,
    };
    let Some(_place) = place else { return Err(Close::Overload) };
    // Once more: of those who waited many may have come in meanwhile.
    if shared.hub.sessions() >= shared.options.sessions_max {
        return Err(Close::Connections);
    }
    let outbox = Arc::new(Outbox::new(Bounds {
        frames: shared.options.outbox_frames_max,
        bytes: shared.options.outbox_bytes_max,
    }));
    let session = Uuid::now_v7();
    let presence =
        Presence::enter(shared, &holder, hello.device.unwrap_or(session), (session, &outbox));
    failpoint!(SessionEntered);
    let resume = hello.resume.as_ref();
    let welcome = shared.welcome((&holder, resume), session, &outbox);
    let opened = timeout(patience, welcome).await.unwrap_or(Err(Close::Overload))?;
    presence.membership.supersede();
    Ok((Link::new(Arc::clone(shared), outbox, opened, &holder), presence))
}

/// That a person is here: in the hub, and for a driver's actor. Ends when dropped.
struct Presence {
    shared: Arc<Shared>,
    driver: Option<DriverId>,
    membership: Membership,
}

impl Presence {
    fn enter(
        shared: &Arc<Shared>,
        holder: &Holder,
        device: Uuid,
        (session, outbox): (Uuid, &Arc<Outbox>),
    ) -> Self {
        let caller = holder.caller;
        let outbox = Arc::clone(outbox);
        let entrant = Entrant { user: caller.user, role: caller.role, session, device, outbox };
        let membership = shared.hub.enter(entrant);
        let driver = (caller.role == Role::Driver).then(|| DriverId::from(caller.user));
        if let Some(driver) = driver {
            shared.dispatch.driver_session(driver, true);
        }
        Self { shared: Arc::clone(shared), driver, membership }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(driver) = self.driver {
            self.shared.dispatch.driver_session(driver, false);
        }
    }
}

/// Waits for the first text frame, which must be a hello.
async fn first_frame(reader: &mut Reader, writer: &Writer) -> Result<Hello, Close> {
    loop {
        match reader.next().await {
            Ok(Message::Text(text)) => {
                return frames::hello(&text).map_err(|error| match error {
                    NoHello::Malformed => Close::Malformed,
                    NoHello::Version => Close::Version,
                });
            }
            other => control(other, writer)?,
        }
    }
}

/// Reads frames until the session ends.
async fn read(link: &Link, reader: &mut Reader, writer: &Writer) -> Close {
    let mut armed = link.session.borrow().deadline();
    let mut alarm = pin!(sleep_until(armed.into()));
    loop {
        // Looked at with each poll, for the writer may bring the deadline forward. It is put off
        // only when it was reached: a frame then costs no timer.
        let due = poll_fn(|cx| {
            let deadline = link.session.borrow().deadline();
            if deadline < armed {
                armed = deadline;
                alarm.as_mut().reset(armed.into());
            }
            alarm.as_mut().poll(cx)
        });
        let message = tokio::select! {
            biased;
            message = reader.next() => Some(message),
            () = due => None,
        };
        let now = Instant::now();
        let reached = message.is_none();
        match message {
            Some(Ok(Message::Text(text))) => {
                let answered = link.on_text(now, &text);
                if answered {
                    link.outbox.roomy().await;
                }
            }
            Some(other) => {
                if let Err(close) = control(other, writer) {
                    return close;
                }
                link.session.borrow_mut().on_life(now);
            }
            None => {}
        }
        link.on_time(now);
        let session = link.session.borrow();
        if let Some(close) = session.end() {
            return close;
        }
        if reached {
            armed = session.deadline();
            alarm.as_mut().reset(armed.into());
        }
    }
}

/// Answers what is not text.
///
/// # Errors
/// [`Close`] where it ends the session.
fn control(message: Result<Message, Broken>, writer: &Writer) -> Result<(), Close> {
    match message? {
        // Not waited for: a client that does not read its pongs gets none.
        Message::Ping(bytes) => writer.offer(Op::Pong, &bytes).map_err(|_| Close::Gone),
        Message::Text(_) | Message::Pong => Ok(()),
        Message::Binary(_) => Err(Close::Binary),
        Message::Close(code) => Err(Close::Bye { code }),
    }
}

/// Writes what the outbox holds until it ends.
async fn write(link: &Link, writer: &Writer) -> Close {
    let patience = link.shared.options.write_timeout;
    let mut frames = VecDeque::new();
    loop {
        match link.outbox.take(&mut frames) {
            Next::End(close) => return close,
            Next::Wait => link.outbox.changed().await,
            Next::Sync => {
                if let Err(close) = link.sync().await {
                    return close;
                }
            }
            Next::Write => {
                let now = Instant::now();
                for frame in frames.drain(..) {
                    link.session.borrow_mut().on_written(now, &frame);
                    link.shared.counters.sent(frame.kind);
                    failpoint!(SessionWrite);
                    if let Err(close) = send(writer, &frame.text, (link, patience)).await {
                        return close;
                    }
                }
            }
        }
    }
}

/// Hands one frame to the socket, which takes it at once unless its reader is slow.
async fn send(
    writer: &Writer,
    text: &str,
    (link, patience): (&Link, Duration),
) -> Result<(), Close> {
    tokio::select! {
        biased;
        sent = writer.send(Op::Text, text.as_bytes()) => sent.map_err(|_| Close::Gone),
        close = link.outbox.cut() => Err(close),
        () = sleep(patience) => Err(Close::Slow),
    }
}
