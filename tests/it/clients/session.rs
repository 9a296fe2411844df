//! Commands over a session that is opened anew whenever it ended, and the events that come with it:
//! none is missing in between.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Said, Told};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A person's session.
#[derive(Default)]
pub(crate) struct Session {
    open: Cell<Option<Open>>,
    /// Rides and versions that events told of since last asked.
    seen: RefCell<Vec<(String, u64)>>,
}

struct Open {
    socket: Socket,
    /// The newest event.
    seq: u64,
}

impl Session {
    /// What the engine says of a command; nothing where the session ends before, or says nothing in
    /// time. It is then opened anew with the next.
    pub(super) async fn ask(&self, engine: &str, told: &Told, patience: Duration) -> Option<Said> {
        let asking = async {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => match open(engine, told).await {
                    Ok(open) => open,
                    Err(said) => return said,
                },
            };
            let mut command =
                json!({"t": "cmd", "id": told.id, "op": told.op, "d": told.body.clone()});
            match (told.op, &told.ride) {
                ("driver.online", _) => command["key"] = json!(told.person.id),
                (_, Some(ride)) => command["key"] = json!(ride),
                (_, None) => {}
            }
            open.say(&command).await?;
            loop {
                let frame = open.hear().await?;
                self.note(&mut open, &frame).await?;
                if frame["id"].as_str() == Some(&told.id) {
                    self.open.set(Some(open));
                    return Some(said(&frame));
                }
            }
        };
        timeout(patience, asking).await.ok().flatten()
    }

    /// What events told of since it was last asked.
    pub(super) fn seen(&self) -> Vec<(String, u64)> {
        self.seen.take()
    }

    /// Takes note of an event, and says so.
    async fn note(&self, open: &mut Open, frame: &Value) -> Option<()> {
        match frame["t"].as_str() {
            Some("evt") => {
                let seq = frame["seq"].as_u64().expect("a seq");
                assert!(seq <= open.seq + 1, "{} is missing before {frame}", open.seq + 1);
                open.seq = open.seq.max(seq);
                let ride = &frame["d"]["ride"];
                if let (Some(id), Some(version)) = (ride["id"].as_str(), ride["version"].as_u64()) {
                    self.seen.borrow_mut().push((id.to_owned(), version));
                }
                let newest = open.seq;
                open.say(&json!({"t": "ack", "seq": newest})).await
            }
            Some("sync") => {
                open.seq = frame["stream"]["seq"].as_u64().expect("a seq");
                Some(())
            }
            _ => Some(()),
        }
    }
}

impl Open {
    async fn say(&mut self, frame: &Value) -> Option<()> {
        self.socket.send(Message::text(frame.to_string())).await.ok()
    }

    async fn hear(&mut self) -> Option<Value> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

/// A session of the one who was told; else why there is none.
async fn open(engine: &str, told: &Told) -> Result<Open, Option<Said>> {
    let url = format!("{}/v1/session", engine.replace("http:", "ws:"));
    let mut request = url.into_client_request().expect("a request");
    let protocol = HeaderValue::from_static("ibora.v1");
    request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    let socket = match connect_async(request).await {
        Ok((socket, _)) => socket,
        Err(Error::Http(refused)) => {
            assert_eq!(refused.status(), 503, "{refused:?}");
            let body = refused.body().as_deref().unwrap_or_default();
            let problem: Value = serde_json::from_slice(body).unwrap_or_default();
            let code = problem["code"].as_str().unwrap_or("unavailable").to_owned();
            return Err(Some(Said { code, body: Value::Null }));
        }
        Err(_) => return Err(None),
    };
    let mut open = Open { socket, seq: 0 };
    let token = &told.person.token;
    let hello = json!({"t": "hello", "v": 1, "auth": {"bearer": token}, "app": "test/1"});
    open.say(&hello).await.ok_or(None)?;
    let welcome = open.hear().await.ok_or(None)?;
    if welcome["t"] != "welcome" {
        return Err(None);
    }
    open.seq = welcome["stream"]["seq"].as_u64().expect("a seq");
    Ok(open)
}

fn said(frame: &Value) -> Said {
    match frame["code"].as_str() {
        Some(code) => {
            assert_ne!(code, "internal", "{frame}");
            Said { code: code.to_owned(), body: Value::Null }
        }
        None => Said { code: "ok".to_owned(), body: frame["d"].clone() },
    }
}
