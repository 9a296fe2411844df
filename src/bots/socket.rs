//! A WebSocket to the engine with small buffers: a bot must cost kilobytes, not more.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// The path and the name of the contract.
const PATH: &str = "/v1/session";
const PROTOCOL: &str = "ibora.v1";
/// Bytes read at once. The library's own default is 128 KiB a socket.
const BUFFER: usize = 4096;
/// A server that takes longer to answer the handshake, or to take a frame, is not there.
const WITHIN: Duration = Duration::from_secs(10);

/// An open socket.
pub(super) struct Socket(WebSocketStream<TcpStream>);

/// What came in.
pub(super) enum Received {
    Text(Utf8Bytes),
    /// The end, with the server's close code where it gave one.
    Closed(Option<u16>),
}

impl Socket {
    /// Connects; `None` where nobody answers as the contract says.
    pub(super) async fn connect(address: SocketAddr) -> Option<Self> {
        tokio::time::timeout(WITHIN, Self::handshake(address)).await.ok().flatten()
    }

    async fn handshake(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let mut request = format!("ws://{address}{PATH}").into_client_request().ok()?;
        let protocol = HeaderValue::from_static(PROTOCOL);
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(1 << 20));
        let opened = client_async_with_config(request, stream, Some(config)).await;
        opened.ok().map(|(socket, _)| Self(socket))
    }

    /// Sends a frame. That it failed is told by the next reading.
    pub(super) async fn send(&mut self, frame: String) {
        let sent = self.0.send(Message::text(frame));
        drop(tokio::time::timeout(WITHIN, sent).await);
    }

    /// The next text frame, or the end. May be dropped while it waits: nothing is lost.
    pub(super) async fn receive(&mut self) -> Received {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Received::Text(text),
                Some(Ok(Message::Close(frame))) => {
                    return Received::Closed(frame.map(|frame| frame.code.into()));
                }
                // The library answers pings of the protocol itself.
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Received::Closed(None),
            }
        }
    }

    /// As [`Socket::receive`]; silence is the end too.
    pub(super) async fn receive_within(&mut self, length: Duration) -> Received {
        tokio::time::timeout(length, self.receive()).await.unwrap_or(Received::Closed(None))
    }
}
