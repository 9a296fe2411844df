//! A client of the session protocol, for tests: strict in what it waits for, and never for long.

use futures_util::{SinkExt, StreamExt};
use ibora::actors::Caller;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

use super::schema;
use crate::machine::EVER;
use crate::world::World;

pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What the session began with.
    pub(crate) welcome: Value,
    /// The `seq` of every event read.
    pub(crate) seqs: Vec<u64>,
    /// Frames that were passed over while waiting for another: an event and the answer to the
    /// command behind it come in either order.
    passed: Vec<Value>,
}

impl Client {
    /// A socket on which nothing was said.
    pub(crate) async fn dial(world: &World) -> Self {
        let socket = connect(world, &[("Sec-WebSocket-Protocol", "ibora.v1")]).await;
        let socket = socket.expect("connects");
        Self { socket, welcome: Value::Null, seqs: Vec::new(), passed: Vec::new() }
    }

    /// A session of `caller`.
    pub(crate) async fn open(world: &World, caller: Caller) -> Self {
        Self::on(world, caller, Uuid::now_v7()).await
    }

    /// A session of `caller` on a device.
    pub(crate) async fn on(world: &World, caller: Caller, device: Uuid) -> Self {
        Self::hello(world, caller, json!({"device": device, "app": "test/1"})).await
    }

    /// A session of `caller` that goes on where another one of its stream was.
    pub(crate) async fn resume(world: &World, caller: Caller, stream: &Value, seq: u64) -> Self {
        let resume = json!({"stream": stream["id"], "epoch": stream["epoch"], "seq": seq});
        Self::hello(world, caller, json!({"resume": resume})).await
    }

    async fn hello(world: &World, caller: Caller, more: Value) -> Self {
        let mut client = Self::dial(world).await;
        let mut hello = json!({"t": "hello", "v": 1, "auth": {"bearer": world.token(caller)}});
        for (name, value) in more.as_object().expect("members") {
            hello[name] = value.clone();
        }
        client.send(&hello).await;
        client.welcome = client.next().await;
        assert_eq!(client.welcome["t"], "welcome", "{}", client.welcome);
        client
    }

    pub(crate) async fn send(&mut self, frame: &Value) {
        self.text(&frame.to_string()).await;
    }

    /// Puts a frame into the buffer, to be sent with the next.
    pub(crate) async fn feed(&mut self, frame: &Value) {
        self.socket.feed(Message::text(frame.to_string())).await.expect("fits");
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.message(Message::text(text)).await;
    }

    /// Sends a message; one that comes too late, after a close, is none.
    pub(crate) async fn message(&mut self, message: Message) {
        self.socket.send(message).await.ok();
    }

    /// Sends a command; its id.
    pub(crate) async fn command(&mut self, op: &str, key: Option<Uuid>, d: Value) -> String {
        let id = Uuid::now_v7().to_string();
        self.command_as(&id, op, key, d).await;
        id
    }

    pub(crate) async fn command_as(&mut self, id: &str, op: &str, key: Option<Uuid>, d: Value) {
        let mut frame = json!({"t": "cmd", "id": id, "op": op});
        if !d.is_null() {
            frame["d"] = d;
        }
        if let Some(key) = key {
            frame["key"] = json!(key);
        }
        self.send(&frame).await;
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        match self.read().await {
            Ok(frame) => frame,
            Err(close) => panic!("closed with {close:?}"),
        }
    }

    /// The first frame of which `wanted` holds, one passed over before included.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.passed.iter().position(&wanted) {
            return self.passed.remove(at);
        }
        for _ in 0..1000 {
            let frame = self.next().await;
            if wanted(&frame) {
                return frame;
            }
            self.passed.push(frame);
        }
        panic!("never came: {what}");
    }

    /// What was passed over so far.
    pub(crate) fn take_passed(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.passed)
    }

    /// The answer to a command.
    pub(crate) async fn answer(&mut self, id: &str) -> Value {
        self.until("an answer", |frame| frame["id"] == id).await
    }

    /// The next event of this op.
    pub(crate) async fn event(&mut self, op: &str) -> Value {
        self.until(op, |frame| frame["t"] == "evt" && frame["op"] == op).await
    }

    /// The next event that tells of a ride in this status.
    pub(crate) async fn ride(&mut self, status: &str) -> Value {
        self.until(status, |frame| frame["d"]["ride"]["status"] == status).await
    }

    /// Reads on until the session is closed; with which code.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Err(close) = self.read().await {
                return close.expect("a close frame");
            }
        }
    }

    /// After the close frame the connection ends too.
    pub(crate) async fn ended(&mut self) {
        let ended = async { while let Some(Ok(_)) = self.socket.next().await {} };
        tokio::time::timeout(EVER, ended).await.expect("the connection ends");
    }

    async fn read(&mut self) -> Result<Value, Option<u16>> {
        loop {
            let message = tokio::time::timeout(EVER, self.socket.next()).await;
            match message.expect("something comes") {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).expect("JSON");
                    schema::expect_of_engine(&frame);
                    if frame["t"] == "evt" {
                        self.seqs.push(frame["seq"].as_u64().expect("a seq"));
                    }
                    return Ok(frame);
                }
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|f| f.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }
}

/// The answer to a handshake with these headers.
pub(crate) async fn handshake(world: &World, headers: &[(&'static str, &str)]) -> StatusCode {
    match connect(world, headers).await {
        Ok(_) => StatusCode::SWITCHING_PROTOCOLS,
        Err(Error::Http(response)) => response.status(),
        Err(error) => panic!("{error}"),
    }
}

async fn connect(
    world: &World,
    headers: &[(&'static str, &str)],
) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, Error> {
    let url = format!("ws://{}/v1/session", world.app().address);
    let mut request = url.into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).expect("a value"));
    }
    connect_async(request).await.map(|(socket, _)| socket)
}
