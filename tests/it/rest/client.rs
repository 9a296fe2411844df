//! A client of REST for tests: requests in one line, answers with status, headers and JSON.

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use ibora::actors::Caller;
use serde_json::Value;

use crate::machine::EVER;
use crate::world::World;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// The answer of a call that went well.
    pub(crate) fn good(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        self.json()
    }

    /// The code of a refusal, after checking what every problem owes.
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        let code = problem["code"].as_str().expect("a code").to_owned();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:ibora:problem:{code}"));
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        assert_eq!(problem["detail"].is_null(), status >= 500, "{problem}");
        code
    }

    /// `field: code` of each fault.
    pub(crate) fn faults(&self) -> Vec<String> {
        assert_eq!(self.problem(422), "invalid");
        let problem = self.json();
        let faults = problem["errors"].as_array().expect("faults").iter();
        let text = |fault: &Value, name: &str| fault[name].as_str().expect("a text").to_owned();
        faults.map(|fault| format!("{}: {}", text(fault, "field"), text(fault, "code"))).collect()
    }
}

/// A request being put together.
pub(crate) struct Request {
    inner: awc::ClientRequest,
}

impl Request {
    pub(crate) fn token(self, token: &str) -> Self {
        Self { inner: self.inner.insert_header(("Authorization", format!("Bearer {token}"))) }
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self { inner: self.inner.insert_header((name, value)) }
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("Idempotency-Key", key)
    }

    pub(crate) async fn empty(self) -> Answer {
        answer(self.inner.send().await).await
    }

    pub(crate) async fn json(self, body: &Value) -> Answer {
        answer(self.inner.send_json(body).await).await
    }

    /// Bytes as they are, under this content type.
    pub(crate) async fn bytes(self, kind: &str, body: impl Into<Vec<u8>>) -> Answer {
        let request = self.inner.insert_header(("Content-Type", kind));
        answer(request.send_body(body.into()).await).await
    }
}

async fn answer<S>(sent: Result<awc::ClientResponse<S>, awc::error::SendRequestError>) -> Answer
where
    S: futures_util::Stream<Item = Result<actix_web::web::Bytes, awc::error::PayloadError>> + Unpin,
{
    let mut response = sent.expect("an answer");
    let body = response.body().limit(1 << 20).await.expect("a body");
    let text = String::from_utf8(body.to_vec()).expect("UTF-8");
    Answer { status: response.status().as_u16(), headers: response.headers().clone(), text }
}

impl World {
    pub(crate) fn call(&self, method: Method, path: &str) -> Request {
        let connector = awc::Connector::new().timeout(EVER);
        let client =
            awc::Client::builder().connector(connector).timeout(EVER).disable_redirects().finish();
        Request { inner: client.request(method, format!("{}{path}", self.url())) }
    }

    /// A read by this person.
    pub(crate) async fn get(&self, who: Caller, path: &str) -> Answer {
        self.call(Method::GET, path).token(&self.token(who)).empty().await
    }

    /// A change by this person.
    pub(crate) async fn post(&self, who: Caller, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path).token(&self.token(who)).json(body).await
    }

    /// A ride that `driver` has an open offer of; its path.
    pub(crate) async fn offered_ride(&self, passenger: Caller, driver: Caller) -> String {
        let made = self.post(passenger, "/v1/rides", &super::ride_request()).await.good(201);
        let id = made["id"].as_str().expect("an id");
        self.offered(driver, id.parse().expect("a ride id")).await;
        format!("/v1/rides/{id}")
    }
}
