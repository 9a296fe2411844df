//! One exchange with the provider: a request goes out, an answer comes back, or it is lost.
//!
//! Only the calls of the client use it. What must hold: an exchange ends within its time, its
//! answer is no longer than allowed, and it tells apart what never went out from what may have
//! arrived. It runs on the runtime on which the client was made: whoever asked may go away in the
//! middle, and a busy thread elsewhere does not stop the connection.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use ibora_domain::provider::{Hindrance, TlsFault, Why};
use ibora_domain::units::Millis;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error as TlsError};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower_service::Service;

use super::options::Bounds;

/// How long a connection is kept that nobody uses. Below what servers usually keep one for: a
/// request on one that they are closing would be in doubt.
const IDLE: Duration = Duration::from_secs(20);

/// What the provider said.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    pub(super) retry_after: Option<Millis>,
    /// Whether a header says that our application lacks a right.
    pub(super) lacks_scope: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Lost {
    NotSent(Hindrance),
    Unclear(Why),
}

/// The connections to one provider.
pub(super) struct Wires {
    client: Client<Connector, Full<Bytes>>,
    runtime: Handle,
    seats: Arc<Semaphore>,
    call_timeout: Duration,
}

impl Wires {
    /// No connection is made yet.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub(super) fn new(tls: ClientConfig, bounds: &Bounds) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1();
        let https = https.wrap_connector(http);
        let connector = Connector { https, timeout: bounds.connect_timeout };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        let seats = Arc::new(Semaphore::new(bounds.calls_max));
        Self { client, runtime: Handle::current(), seats, call_timeout: bounds.call_timeout }
    }

    /// Sends `request` and reads its answer, of `bytes_max` at most.
    pub(super) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        bytes_max: usize,
    ) -> Result<Answer, Lost> {
        let seat = timeout(self.call_timeout, Arc::clone(&self.seats).acquire_owned()).await;
        // The semaphore is never closed.
        let Ok(Ok(seat)) = seat else {
            return Err(Lost::NotSent(Hindrance::Pace));
        };
        let (client, within) = (self.client.clone(), self.call_timeout);
        let exchange = self.runtime.spawn(async move {
            let _seat = seat;
            let answer = timeout(within, ask(&client, request, bytes_max)).await;
            answer.unwrap_or(Err(Lost::Unclear(Why::TimedOut)))
        });
        exchange.await.unwrap_or(Err(Lost::Unclear(Why::Lost)))
    }
}

async fn ask(
    client: &Client<Connector, Full<Bytes>>,
    request: Request<Full<Bytes>>,
    bytes_max: usize,
) -> Result<Answer, Lost> {
    let response = client.request(request).await.map_err(|error| lost(&error))?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, bytes_max).collect().await.map_err(|error| {
        let long = error.downcast_ref::<LengthLimitError>().is_some();
        Lost::Unclear(if long { Why::TooLong } else { Why::Lost })
    })?;
    Ok(Answer {
        status: head.status,
        body: body.to_bytes(),
        retry_after: retry_after(&head.headers),
        lacks_scope: says(&head.headers, "insufficient_scope"),
    })
}

/// Seconds; a date is as good as nothing, for the clocks are two.
fn retry_after(headers: &HeaderMap) -> Option<Millis> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    // A day is longer than anybody waits: what is longer still must not overflow.
    Some(Millis::from_secs(u64::min(seconds, 86_400)))
}

fn says(headers: &HeaderMap, word: &str) -> bool {
    let text = headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
    text.is_some_and(|text| text.contains(word))
}

/// What an error of the client means to who asked.
fn lost(error: &ClientError) -> Lost {
    let tls = tls_error(error);
    match tls {
        Some(TlsError::AlertReceived(alert)) if of_our_certificate(*alert) => {
            // With TLS 1.3 it comes behind the handshake; the request was not looked at.
            Lost::NotSent(Hindrance::Tls(TlsFault::OursRefused))
        }
        Some(error_of_tls) if error.is_connect() => {
            Lost::NotSent(Hindrance::Tls(fault(error_of_tls)))
        }
        _ if error.is_connect() => Lost::NotSent(Hindrance::Connect),
        _ => Lost::Unclear(Why::Lost),
    }
}

const fn of_our_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            // Of a signature in the handshake, such as that under our certificate.
            | AlertDescription::DecryptError
    )
}

fn fault(error: &TlsError) -> TlsFault {
    let TlsError::InvalidCertificate(error) = error else {
        return TlsFault::Other;
    };
    match error {
        // The second, where another authority has the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            TlsFault::UnknownAuthority
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => TlsFault::Expired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFault::OtherName
        }
        _ => TlsFault::Other,
    }
}

/// The error of TLS among the causes: it may lie inside of errors of I/O.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a TlsError> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let inside = inside.map(|inside| inside as &(dyn StdError + 'static));
    inside.and_then(tls_error).or_else(|| error.source().and_then(tls_error))
}

/// Connections by TLS, made within their time: name, TCP and handshake together.
#[derive(Clone)]
struct Connector {
    https: HttpsConnector<HttpConnector>,
    timeout: Duration,
}

type BoxError = Box<dyn StdError + Send + Sync>;
type Connection = MaybeHttpsStream<TokioIo<TcpStream>>;

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connection = timeout(self.timeout, self.https.call(to));
        Box::pin(async move { connection.await? })
    }
}
