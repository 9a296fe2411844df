//! Calls that the provider makes: to an address that somebody registered, over HTTP or HTTPS.

use std::error::Error as _;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, Uri, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;

pub(super) type HttpsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// How long the provider waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Why a call had no answer.
#[derive(Debug)]
pub(super) enum CallError {
    /// Nobody is there, or TLS is refused.
    Unreachable(String),
    Timeout,
}

/// A client that keeps no connection: each callback shows its certificate.
pub(super) fn client(tls: ClientConfig) -> HttpsClient {
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    let connector = connector.enable_http1().build();
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)
}

/// Sends JSON to `uri` and says with which status it was answered.
pub(super) async fn post(client: &HttpsClient, uri: &Uri, body: Vec<u8>) -> Result<u16, CallError> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| CallError::Unreachable(error.to_string()))?;
    let call = async {
        let answer = client.request(request).await.map_err(|error| {
            let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            CallError::Unreachable(cause)
        })?;
        let status = answer.status().as_u16();
        // To its end, so that the connection is closed in order.
        let read = answer.into_body().collect().await;
        read.map(|_| status).map_err(|error| CallError::Unreachable(error.to_string()))
    };
    tokio::time::timeout(ANSWER_WITHIN, call).await.unwrap_or(Err(CallError::Timeout))
}
