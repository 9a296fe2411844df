//! A session of a person that may break off at any time, and commands over it.

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::{SinkExt, StreamExt};
use ibora_domain::refusal::Refusal;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::told::{Heard, Told};
use crate::machine::EVER;
use crate::process::Person;

/// An event that a person was shown, and of which epoch of his stream.
pub(super) struct Shown {
    pub(super) person: Person,
    pub(super) epoch: Value,
    pub(super) event: Value,
}

/// Every event that anybody was shown.
pub(super) type Seen = Rc<RefCell<Vec<Shown>>>;

/// A session; what it returns is nothing once the engine is gone.
pub(super) struct Phone {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(super) welcome: Value,
    /// Frames that were passed over while waiting for another.
    passed: Vec<Value>,
    person: Person,
    seen: Seen,
}

impl Phone {
    /// A session of `person`, going on from `resume` if there is one.
    pub(super) async fn open(
        engine: &str,
        person: &Person,
        resume: Value,
        seen: &Seen,
    ) -> Option<Self> {
        let url = format!("{}/v1/session", engine.replacen("http:", "ws:", 1));
        let mut request = url.into_client_request().expect("a request");
        let protocol = HeaderValue::from_static("ibora.v1");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let (socket, _) = connect_async(request).await.ok()?;
        let (person, seen) = (person.clone(), Rc::clone(seen));
        let mut phone = Self { socket, welcome: Value::Null, passed: Vec::new(), person, seen };
        let mut hello = json!({"t": "hello", "v": 1, "auth": {"bearer": phone.person.token}});
        if !resume.is_null() {
            hello["resume"] = resume;
        }
        phone.send(&hello).await?;
        phone.welcome = phone.next().await?;
        Some(phone)
    }

    /// Where its stream was when it began.
    pub(super) fn position(&self) -> Value {
        let stream = &self.welcome["stream"];
        json!({"stream": stream["id"], "epoch": stream["epoch"], "seq": stream["seq"]})
    }

    pub(super) async fn send(&mut self, frame: &Value) -> Option<()> {
        self.socket.send(Message::text(frame.to_string())).await.ok()
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            let message = tokio::time::timeout(EVER, self.socket.next()).await;
            match message.expect("something comes, or an end") {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).expect("JSON");
                    self.note(&frame);
                    return Some(frame);
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    fn note(&self, frame: &Value) {
        if frame["t"] == "evt" {
            let (person, epoch) = (self.person.clone(), self.welcome["stream"]["epoch"].clone());
            self.seen.borrow_mut().push(Shown { person, epoch, event: frame.clone() });
        }
    }

    /// The first frame of which `wanted` holds, one passed over before included.
    pub(super) async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        if let Some(at) = self.passed.iter().position(&wanted) {
            return Some(self.passed.remove(at));
        }
        loop {
            let frame = self.next().await?;
            if wanted(&frame) {
                return Some(frame);
            }
            self.passed.push(frame);
        }
    }

    /// Waits for an offer of this ride, and acknowledges it.
    pub(super) async fn offered(&mut self, ride: &str) -> Option<()> {
        let offer = self.until(|frame| frame["op"] == "offer.made" && frame["key"] == ride).await?;
        self.send(&json!({"t": "ack", "seq": offer["seq"]})).await
    }

    /// Waits for the ride to be in this status.
    pub(super) async fn sees(&mut self, ride: &str, status: &str) -> Option<()> {
        let shows = |frame: &Value| {
            let shown = &frame["d"]["ride"];
            frame["op"] == "ride.updated" && shown["id"] == ride && shown["status"] == status
        };
        self.until(shows).await.map(drop)
    }

    /// Sends a command that was told over REST, or would be; its answer.
    pub(super) async fn command(&mut self, told: &Told) -> Option<Heard> {
        let frame = as_frame(told).expect("a command of sessions");
        self.send(&frame).await?;
        let answer = self.until(|frame| frame["id"] == told.key.as_str()).await?;
        Some(match answer["t"] == "res" {
            true => (200, answer["d"].clone()),
            false => refused(&answer["code"]),
        })
    }
}

/// The frame of a command; none for what only REST has.
pub(super) fn as_frame(told: &Told) -> Option<Value> {
    let (mut key, mut d) = (Value::Null, told.body.clone());
    let path: Vec<&str> = told.path.split('/').skip(2).collect();
    let op = match path[..] {
        ["rides"] => "ride.request".to_owned(),
        ["rides", id, step] => {
            key = json!(id);
            format!("ride.{}", if step == "rating" { "rate" } else { step })
        }
        ["me", "availability"] => {
            let status = d.as_object_mut()?.remove("status")?;
            format!("driver.{}", status.as_str()?)
        }
        _ => return None,
    };
    let mut frame = json!({"t": "cmd", "id": told.key, "op": op, "d": d});
    if !key.is_null() {
        frame["key"] = key;
    }
    Some(frame)
}

/// What was heard over REST, as it is heard over a session: the same body, or the same code.
pub(super) fn plain((status, body): Heard) -> Heard {
    if status < 300 { (200, body) } else { refused(&body["code"]) }
}

/// A refusal by its code: a result, nothing decided and to be asked again, or nothing at all.
fn refused(code: &Value) -> Heard {
    let refusal = code.as_str().and_then(Refusal::from_code);
    let status = match refusal {
        Some(refusal) if refusal.is_result() => 409,
        Some(Refusal::NotFound | Refusal::Forbidden | Refusal::OfferNotFound) => 404,
        _ => 503,
    };
    (status, json!({"code": code}))
}
