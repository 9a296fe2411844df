//! A provider of a test's own: HTTPS on a random port, and a script that says what is answered.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::papers::{Paper, Papers};

/// What was asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Method and path, with the query: `GET /v2/cob/1`.
    pub(super) line: String,
    pub(super) headers: String,
    pub(super) body: String,
    /// The number of the connection.
    pub(super) connection: usize,
}

impl Asked {
    pub(super) fn is_token(&self) -> bool {
        self.line == "POST /oauth/token"
    }
}

/// What is said.
pub(super) enum Reply {
    Says(u16, String),
    /// With further headers, each with its line end.
    With(u16, &'static str, String),
    /// The connection ends after so many bytes of the body.
    Cut(u16, String, usize),
    /// Nothing, ever.
    Silence,
}

impl Reply {
    pub(super) fn ok(body: impl Into<String>) -> Self {
        Self::Says(200, body.into())
    }

    pub(super) fn error(status: u16, name: &str) -> Self {
        Self::Says(status, format!(r#"{{"nome":"{name}","mensagem":"texto"}}"#))
    }

    /// The request is taken, and the connection ends.
    pub(super) fn lost() -> Self {
        Self::Cut(0, String::new(), 0)
    }

    pub(super) fn token(life_s: u64) -> Self {
        Self::ok(format!(
            r#"{{"access_token":"t{life_s}","token_type":"Bearer","expires_in":{life_s}}}"#
        ))
    }
}

type Script = dyn FnMut(&Asked) -> Reply + Send;

/// The provider. It ends when it is dropped.
pub(super) struct Desk {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    listening: JoinHandle<()>,
}

impl Desk {
    /// Shows `paper` and wants a certificate of the authority of `papers`.
    pub(super) async fn open(
        papers: &Papers,
        paper: &Paper,
        script: impl FnMut(&Asked) -> Reply + Send + 'static,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(papers.authority()).expect("an authority");
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&ring)).build();
        let (certificates, key) = paper.tls();
        let config = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_client_cert_verifier(verifier.expect("a verifier"))
            .with_single_cert(certificates, key)
            .expect("a certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(script));
        let log = Arc::clone(&asked);
        let listening = tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (acceptor, script, log) = (acceptor.clone(), Arc::clone(&script), log.clone());
                tokio::spawn(async move {
                    serve(connection, stream, acceptor, &script, &log).await;
                });
            }
        });
        Self { address, asked, listening }
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The requests so far, those for tokens apart.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().iter().filter(|asked| !asked.is_token()).cloned().collect()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    pub(super) fn tokens(&self) -> usize {
        self.asked.lock().iter().filter(|asked| asked.is_token()).count()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(
    connection: usize,
    stream: TcpStream,
    acceptor: TlsAcceptor,
    script: &Mutex<Script>,
    log: &Mutex<Vec<Asked>>,
) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    while let Some(asked) = read(&mut stream, connection).await {
        let reply = script.lock()(&asked);
        log.lock().push(asked);
        if !answer(&mut stream, reply).await {
            return;
        }
    }
}

async fn read(stream: &mut TlsStream<TcpStream>, connection: usize) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).expect("headers");
    let (line, headers) = text.split_once("\r\n").expect("headers");
    let length = headers.lines().find_map(|header| {
        header.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
    });
    while bytes.len() < head + 4 + length.unwrap_or(0) {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes[head + 4..].to_vec()).expect("text");
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    Some(Asked { line, headers: headers.to_owned(), body, connection })
}

/// Whether the connection goes on.
async fn answer(stream: &mut TlsStream<TcpStream>, reply: Reply) -> bool {
    let (status, headers, body, whole) = match reply {
        Reply::Says(status, body) => (status, "", body, usize::MAX),
        Reply::With(status, headers, body) => (status, headers, body, usize::MAX),
        Reply::Cut(0, ..) => return false,
        Reply::Cut(status, body, bytes) => (status, "", body, bytes),
        Reply::Silence => std::future::pending().await,
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n");
    let body = &body.as_bytes()[..length.min(whole)];
    let sent = stream.write_all(head.as_bytes()).await.and(stream.write_all(body).await);
    sent.and(stream.flush().await).is_ok() && whole >= length
}
