//! A provider of one test, and a client of it that speaks plain JSON.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ibora::pix::simulator::{Certificates, Rules, Simulator, SimulatorOptions};
use ibora_domain::units::Millis;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machine::EVER;

pub(crate) type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The key of ours that is paid, and pays.
pub(super) const KEY: &str = "ibora@example.com";

pub(super) struct Provider {
    pub(super) simulator: Simulator,
    pub(super) dir: PathBuf,
    client: Https,
    token: String,
}

/// Rules whose refunds and payouts are settled at once.
pub(super) fn quick() -> Rules {
    Rules { settle_after: Millis(0), ..Rules::default() }
}

impl Provider {
    pub(super) async fn start() -> Self {
        Self::with(quick()).await
    }

    pub(super) async fn with(rules: Rules) -> Self {
        let dir = std::env::temp_dir().join(format!("ibora-psp-{}", Uuid::new_v4().simple()));
        let options = SimulatorOptions { rules, ..SimulatorOptions::new(dir.clone()) };
        let simulator = Simulator::start(options).await.expect("the simulator starts");
        let certificates = simulator.certificates();
        let client = https(certificates, Some(&certificates.client.path));
        let mut provider = Self { simulator, dir, client, token: String::new() };
        provider.renew().await;
        provider
    }

    /// Gets a token.
    pub(super) async fn renew(&mut self) {
        let (status, answer) = self.ask_token(&self.client).await.expect("a token");
        assert_eq!(status, 200, "{answer}");
        self.token = answer["access_token"].as_str().expect("a token").to_owned();
    }

    /// Asks for a token as another client would.
    pub(super) async fn ask_token(&self, client: &Https) -> Result<(u16, Value), String> {
        let basic = BASE64_STANDARD.encode("Client_Id_simulator:Client_Secret_simulator");
        let url = format!("{}/oauth/token", self.simulator.api_url());
        let body = json!({"grant_type": "client_credentials"});
        send(client, "POST", &url, &format!("Basic {basic}"), Some(&body)).await
    }

    /// A call of the API; an error where no whole answer came.
    pub(super) async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, Value), String> {
        let url = format!("{}{path}", self.simulator.api_url());
        let bearer = format!("Bearer {}", self.token);
        send(&self.client, method, &url, &bearer, body.as_ref()).await
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.try_call("GET", path, None).await.expect("an answer")
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.try_call("PUT", path, Some(body)).await.expect("an answer")
    }

    /// Registers a webhook with the check of mTLS.
    pub(super) async fn register_checked(&self, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.simulator.api_url());
        let request = Request::put(url)
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Full::new(Bytes::from(body.to_string())));
        answer(&self.client, request.expect("a request")).await.expect("an answer")
    }

    /// Tells the simulator something; it must agree.
    pub(super) async fn control(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/control/{path}", self.simulator.control_url());
        let (status, answer) =
            send(&self.client, "POST", &url, "", Some(&body)).await.expect("an answer");
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    pub(super) async fn shown(&self, path: &str) -> Value {
        let url = format!("{}/control/{path}", self.simulator.control_url());
        send(&self.client, "GET", &url, "", None).await.expect("an answer").1
    }

    /// Makes a charge with this number.
    pub(super) async fn charge(&self, number: u32, reais: &str) -> String {
        let txid = format!("{number:032}");
        let (status, answer) = self.put(&format!("/v2/cob/{txid}"), charge(reais)).await;
        assert_eq!(status, 201, "{answer}");
        txid
    }

    /// Somebody pays the charge.
    pub(super) async fn pay(&self, txid: &str) -> String {
        let paid = self.control("pay", json!({"txid": txid})).await;
        paid["endToEndId"].as_str().expect("a number").to_owned()
    }

    /// Waits until the simulator shows what is wanted.
    pub(super) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + EVER;
        loop {
            let shown = self.shown(path).await;
            if wanted(&shown) {
                return shown;
            }
            assert!(Instant::now() < deadline, "{path} shows {shown}");
            actix_web::rt::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the test: the books must be sound.
    pub(super) async fn end(self) {
        let books = self.shown("books").await;
        assert_eq!(books["consistent"], true, "{books}");
        self.simulator.stop().await;
        std::fs::remove_dir_all(&self.dir).expect("its folder goes");
    }
}

pub(super) fn charge(reais: &str) -> Value {
    json!({"calendario": {"expiracao": 600}, "valor": {"original": reais}, "chave": KEY})
}

/// A client that trusts this provider and shows the certificate in `identity`, if any.
pub(crate) fn https(certificates: &Certificates, identity: Option<&PathBuf>) -> Https {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificates.ca).expect("a CA")).expect("trusted");
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions();
    let config = config.expect("TLS").with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(path) => {
            let chain = vec![CertificateDer::from_pem_file(path).expect("a certificate")];
            let key = PrivateKeyDer::from_pem_file(path).expect("a key");
            config.with_client_auth_cert(chain, key).expect("an identity")
        }
    };
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    let connector = connector.enable_http1().build();
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)
}

pub(super) async fn send(
    client: &Https,
    method: &str,
    url: &str,
    authorization: &str,
    body: Option<&Value>,
) -> Result<(u16, Value), String> {
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header(AUTHORIZATION, authorization)
        .header("x-skip-mtls-checking", "true")
        .header(CONTENT_TYPE, "application/json");
    let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let request = request.body(Full::new(Bytes::from(bytes))).expect("a request");
    answer(client, request).await
}

async fn answer(client: &Https, request: Request<Full<Bytes>>) -> Result<(u16, Value), String> {
    let answer = client.request(request).await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.map_err(|error| format!("{error:?}"))?;
    let bytes = bytes.to_bytes();
    if bytes.is_empty() {
        return Ok((status, Value::Null));
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    serde_json::from_str(&text).map(|value| (status, value)).map_err(|_| format!("half: {text}"))
}
