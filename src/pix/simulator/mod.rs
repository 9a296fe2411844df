//! The simulator of the provider: real HTTPS with mTLS, the provider's bytes, books of its own.
//!
//! `ibora psp`, the demo and tests start it; no engine needs it. Its money is in `ibora_psp`, which
//! is pure; here are sockets, certificates, the clock and the dial of faults. It never leaves the
//! machine: the control interface listens on loopback only, callbacks go where somebody registered
//! them. See `docs/psp-simulator.md`.

mod account;
mod answer;
mod certificates;
mod charges;
mod clock;
mod control;
mod control_money;
mod core;
mod deliver;
mod dial;
mod outgoing;
mod page;
mod pix;
mod provider;
mod render;
mod sends;
mod tokens;
mod webhooks;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::rt::task::JoinHandle;
use actix_web::{App, HttpServer, web};
use thiserror::Error;

pub use self::certificates::{Certificates, Identity};
use self::core::Core;
pub use self::tokens::Credentials;
pub use ibora_psp::{Rules, Script};

/// How the simulator is set up.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// Where its certificates go; those of an earlier start are replaced.
    pub data_dir: PathBuf,
    /// Where it is the provider. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where it is told what to do. Loopback only.
    pub control: SocketAddr,
    pub rules: Rules,
    /// Seconds of its clock that pass in a real second.
    pub speed: u32,
    /// Draws which of the faults with a chance happen.
    pub seed: u64,
    pub credentials: Credentials,
}

impl SimulatorOptions {
    /// Free ports, and whatever else a first start needs.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            data_dir,
            listen: any,
            control: any,
            rules: Rules::default(),
            speed: 1,
            seed: 1,
            credentials: Credentials::default(),
        }
    }
}

/// Why the simulator does not start.
#[derive(Debug, Error)]
pub enum SimulatorError {
    #[error("{at}: {source}")]
    Listen { at: SocketAddr, source: io::Error },
    #[error("{path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("certificates")]
    Certificates(#[from] rcgen::Error),
    #[error("the client's PKCS#12 file")]
    Pkcs12(#[from] p12_keystore::error::Error),
    #[error("TLS")]
    Tls(#[from] rustls::Error),
    #[error("whose certificates are trusted: {0}")]
    Trust(#[from] rustls::server::VerifierBuilderError),
    #[error("{0} is not on loopback")]
    NotLoopback(SocketAddr),
}

/// A running simulator.
pub struct Simulator {
    listen: SocketAddr,
    control: SocketAddr,
    certificates: Certificates,
    servers: [ServerHandle; 2],
    postman: JoinHandle<()>,
}

impl Simulator {
    /// Starts it, in the actix system of the caller.
    ///
    /// # Errors
    /// [`SimulatorError`].
    pub async fn start(options: SimulatorOptions) -> Result<Self, SimulatorError> {
        if !options.control.ip().is_loopback() {
            return Err(SimulatorError::NotLoopback(options.control));
        }
        let certificates = Certificates::make(&options.data_dir)?;
        let tls = certificates.server_config()?;
        let core = Arc::new(Core::new(&options, certificates.outgoing()?));
        let (provider, listen) = bind(options.listen)?;
        let (control_listener, control) = bind(options.control)?;
        let shared = web::Data::from(core.clone());
        let state = shared.clone();
        let https = HttpServer::new(move || {
            let app = App::new().app_data(state.clone());
            app.app_data(web::PayloadConfig::new(provider::BODY_MAX)).configure(provider::routes)
        });
        let https = https.workers(1).disable_signals().shutdown_timeout(1);
        let listening = |at| move |source| SimulatorError::Listen { at, source };
        let https = https.listen_rustls_0_23(provider, tls).map_err(listening(listen))?.run();
        let http =
            HttpServer::new(move || App::new().app_data(shared.clone()).configure(control::routes));
        let http = http.workers(1).disable_signals().shutdown_timeout(1);
        let http = http.listen(control_listener).map_err(listening(control))?.run();
        let servers = [https.handle(), http.handle()];
        actix_web::rt::spawn(https);
        actix_web::rt::spawn(http);
        let postman = actix_web::rt::spawn(deliver::run(core));
        Ok(Self { listen, control, certificates, servers, postman })
    }

    /// Base address of the provider's API.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("https://localhost:{}", self.listen.port())
    }

    /// Base address of the control interface.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// Where the certificates are.
    #[must_use]
    pub const fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Ends it. Callbacks that are under way are lost, as are its books.
    pub async fn stop(self) {
        self.postman.abort();
        for server in self.servers {
            server.stop(false).await;
        }
    }
}

fn bind(at: SocketAddr) -> Result<(TcpListener, SocketAddr), SimulatorError> {
    let listen = |source| SimulatorError::Listen { at, source };
    let listener = TcpListener::bind(at).map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    Ok((listener, bound))
}
