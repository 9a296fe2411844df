//! A webhook of a test: takes callbacks over HTTP, or over TLS from the provider alone.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use ibora::pix::simulator::Certificates;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::Value;

use crate::machine::EVER;

#[derive(Default)]
struct Taken {
    /// Path with query, and body.
    calls: Vec<(String, Value)>,
    /// Answers for the next calls to `/pix`; 200 afterwards.
    answers: Vec<u16>,
}

pub(super) struct Inbox {
    pub(super) url: String,
    taken: Arc<Mutex<Taken>>,
    server: ServerHandle,
}

impl Inbox {
    /// Over HTTP, which refuses so many callbacks first.
    pub(super) fn http(answers: &[u16]) -> Self {
        Self::start(answers, None)
    }

    /// Over TLS: takes only who shows a certificate of the provider's.
    pub(super) fn mutual(certificates: &Certificates) -> Self {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(&certificates.webhook_ca).expect("a CA");
        roots.add(ca).expect("trusted");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), ring.clone());
        let path = &certificates.webhook_server.path;
        let chain = vec![CertificateDer::from_pem_file(path).expect("a certificate")];
        let config = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(path).expect("a key"))
            .expect("an identity");
        Self::start(&[], Some(config))
    }

    fn start(answers: &[u16], tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let taken = Taken { answers: answers.to_vec(), ..Taken::default() };
        let taken = Arc::new(Mutex::new(taken));
        let shared = web::Data::from(taken.clone());
        let server = HttpServer::new(move || {
            App::new().app_data(shared.clone()).default_service(web::to(take))
        });
        let server = server.workers(1).disable_signals().shutdown_timeout(1);
        let (scheme, server) = match tls {
            None => ("http", server.listen(listener).expect("listens").run()),
            Some(tls) => {
                ("https", server.listen_rustls_0_23(listener, tls).expect("listens").run())
            }
        };
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { url: format!("{scheme}://localhost:{port}/hook"), taken, server: handle }
    }

    /// Elements of callbacks so far.
    pub(super) fn elements(&self) -> Vec<Value> {
        let taken = self.taken.lock();
        let bodies = taken.calls.iter().filter_map(|(_, body)| body["pix"].as_array());
        bodies.flatten().cloned().collect()
    }

    /// Paths that were called so far.
    pub(super) fn paths(&self) -> Vec<String> {
        self.taken.lock().calls.iter().map(|(path, _)| path.clone()).collect()
    }

    /// Waits for so many elements.
    pub(super) async fn wait(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + EVER;
        loop {
            let elements = self.elements();
            if elements.len() >= count {
                return elements;
            }
            assert!(Instant::now() < deadline, "{count} wanted, {elements:?}");
            actix_web::rt::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn stop(self) {
        self.server.stop(false).await;
    }
}

async fn take(
    request: HttpRequest,
    taken: web::Data<Mutex<Taken>>,
    body: web::Json<Value>,
) -> HttpResponse {
    let mut taken = taken.lock();
    taken.calls.push((request.uri().to_string(), body.into_inner()));
    let refuses = request.uri().to_string().ends_with("/pix") && !taken.answers.is_empty();
    let status = if refuses { taken.answers.remove(0) } else { 200 };
    HttpResponse::new(StatusCode::from_u16(status).expect("a status"))
}
