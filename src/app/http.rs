//! The listeners: which routes are mounted where. Used by the composition root alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App as WebApp, HttpServer};

use super::StartError;
use crate::api::{Api, ApiOptions, LimitOptions};
use crate::config::Config;
use crate::realtime::{self, RealtimeState};

/// Time in which the head of a request must be there.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Seconds that requests have to end when the engine stops.
const STOP_WITHIN_S: u64 = 10;

/// The running listeners.
pub(super) struct Servers {
    /// Of the public one; the port it got where the configuration says 0.
    pub(super) address: SocketAddr,
    public: ServerHandle,
    metrics: Option<ServerHandle>,
}

impl Servers {
    /// Begins to serve.
    pub(super) fn start(
        config: &Config,
        api: &Arc<Api>,
        sessions: &RealtimeState,
    ) -> Result<Self, StartError> {
        let metrics = listen_metrics(config, api)?;
        let (address, public) = listen(config, api, sessions)?;
        Ok(Self { address, public, metrics })
    }

    /// Ends the listeners, the figures last.
    pub(super) async fn stop(self) {
        self.public.stop(true).await;
        if let Some(metrics) = self.metrics {
            metrics.stop(false).await;
        }
    }
}

/// The numbers of REST, as configured.
pub(super) fn api_options(config: &Config) -> ApiOptions {
    let limits = &config.limits;
    ApiOptions {
        body_bytes_max: config.http.max_body_bytes,
        allowed_origins: config.http.allowed_origins.clone(),
        metrics_here: config.metrics.listen.is_none(),
        limits: LimitOptions {
            enabled: limits.enabled,
            user_per_s: limits.user_per_s,
            user_burst: limits.user_burst,
            anonymous_per_min: limits.anonymous_per_min,
            auth_per_min: limits.auth_per_min,
        },
    }
}

fn listen(
    config: &Config,
    api: &Arc<Api>,
    sessions: &RealtimeState,
) -> Result<(SocketAddr, ServerHandle), StartError> {
    let address = config.http.listen;
    let workers = match config.http.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let (api, sessions) = (Arc::clone(api), sessions.clone());
    let make = move || {
        WebApp::new()
            .configure(|routes| realtime::configure(routes, &sessions))
            .configure(|routes| api.configure(routes))
    };
    let server = HttpServer::new(make)
        .workers(workers)
        .disable_signals()
        .client_request_timeout(HEAD_WITHIN)
        .shutdown_timeout(STOP_WITHIN_S)
        .bind(address)
        .map_err(|source| StartError::Listen { address, source })?;
    let bound = server.addrs().first().copied().unwrap_or(address);
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok((bound, handle))
}

/// Serves `/metrics` on its own address, where it has one.
fn listen_metrics(config: &Config, api: &Arc<Api>) -> Result<Option<ServerHandle>, StartError> {
    let Some(address) = config.metrics.listen else { return Ok(None) };
    let api = Arc::clone(api);
    let make = move || WebApp::new().configure(|routes| api.configure_metrics(routes));
    let server = HttpServer::new(make)
        .workers(1)
        .disable_signals()
        .client_request_timeout(HEAD_WITHIN)
        .bind(address)
        .map_err(|source| StartError::Listen { address, source })?
        .run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(Some(handle))
}
