//! The listeners: every route of the engine on one, `/metrics` on its own where it has one, and the
//! Pix provider's callbacks on one that knows it by its certificate.
//!
//! The address is taken before the shards are, and kept through: an engine that cannot have it
//! keeps nothing from another, and one that takes over answers where it stood by. It listens once
//! it can answer: who comes while it starts is refused at once and comes again, each at a time of
//! his own. Taken into a queue, thousands would be served in one moment, and those for whom it has
//! no room would wait for their system's next try, seconds later.

use std::any::Any;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::http::KeepAlive;
use actix_web::rt::net::TcpStream;
use actix_web::{App as WebApp, HttpServer, web};
use rustls::ServerConfig;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

use super::{Mount, StartError};
use crate::accounts::Accounts;
use crate::actors::Dispatch;
use crate::api::{Api, ApiOptions, ApiParts, LimitOptions, Standby};
use crate::config::Config;
use crate::db::Db;
use crate::network::Proxies;
use crate::obs::Metrics;
use crate::pix::client::IdentityFiles;
use crate::pix::inbound::{self, Callbacks, Proof};
use crate::readmodel::{Ledger, Rides};
use crate::realtime::{self, Hub, RealtimeState};

/// Linux keeps twice as much: for its own books. It bounds what is on its way to a client: a
/// hundred kilobytes a second even over half a world.
const SEND_BUFFER_BYTES: usize = 8 << 10;
/// What may wait in the system of what is not on its way yet. The rest waits in the engine, where
/// what is shown and forgotten is still replaced by what is newer.
const UNSENT_BYTES: u32 = 2 << 10;
/// What the server gathers for a connection whose system takes no more.
const GATHERED_BYTES: usize = 2 << 10;
/// How long sent bytes may be untaken before the connection is given up, whatever still waits for
/// it: a session that was closed as slow is really gone by then, not only for the engine. A phone
/// in a tunnel comes back by a new connection, and resumes.
const UNTAKEN_FOR: Duration = Duration::from_secs(9);
/// Silence after which the system looks whether the other end is there.
const SILENT_FOR: Duration = Duration::from_secs(60);
/// Connections that may wait to be accepted: thousands come back at once after a restart.
const BACKLOG: i32 = 2048;
/// Time that requests under way have at the end of the engine.
const SHUTDOWN_S: u64 = 2;

/// What routes lead to.
#[derive(Clone)]
pub(super) struct Routes {
    pub(super) api: Arc<Api>,
    pub(super) sessions: RealtimeState,
    pub(super) callbacks: Arc<Callbacks>,
    pub(super) more: Mount,
}

impl Routes {
    fn mount(&self, routes: &mut web::ServiceConfig) {
        realtime::configure(routes, &self.sessions);
        (self.more)(routes);
        self.callbacks.configure(Proof::Secret, routes);
        self.api.configure(routes);
    }
}

/// The REST room of an engine.
pub(super) fn api(
    config: &Config,
    db: &Db,
    (dispatch, accounts): (&Arc<Dispatch>, &Arc<Accounts>),
    (metrics, ready): (&Arc<Metrics>, &Arc<AtomicBool>),
    hub: &Arc<Hub>,
) -> Arc<Api> {
    let hub = Arc::clone(hub);
    let parts = ApiParts {
        dispatch: Arc::clone(dispatch),
        accounts: Arc::clone(accounts),
        metrics: Arc::clone(metrics),
        rides: Rides::new(db.clone()),
        ledger: Ledger::new(db.clone()),
        ready: Arc::clone(ready),
        end_sessions: Arc::new(move |user| hub.end_sessions(user)),
    };
    Api::new(parts, api_options(config))
}

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
        proxies: Proxies::new(config.http.trusted_proxies.clone()),
    }
}

/// The configured address, which is ours.
pub(super) struct Place {
    socket: Socket,
    address: SocketAddr,
}

impl Place {
    /// Takes an address; nobody can connect yet.
    pub(super) fn take(address: SocketAddr) -> Result<Self, StartError> {
        let bound = || {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            // Connections that an engine before is still ending are not in the way.
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            let address = socket.local_addr()?.as_socket().unwrap_or(address);
            Ok(Self { socket, address })
        };
        bound().map_err(|source| StartError::Listen { address, source })
    }

    /// Listens, and runs a server there; the place stays for a later one.
    fn serve(
        &self,
        run: impl FnOnce(TcpListener) -> std::io::Result<Server>,
    ) -> Result<ServerHandle, StartError> {
        let listening = self.socket.listen(BACKLOG).and_then(|()| self.socket.try_clone());
        let server = listening
            .and_then(|socket| run(socket.into()))
            .map_err(|source| StartError::Listen { address: self.address, source })?;
        let handle = server.handle();
        tokio::spawn(server);
        Ok(handle)
    }
}

/// Answers for an engine that waits, one connection a request: the next may be the engine's own.
pub(super) fn listen_standby(
    place: &Place,
    standby: &Arc<Standby>,
) -> Result<ServerHandle, StartError> {
    let standby = Arc::clone(standby);
    let make = move || WebApp::new().configure(|routes| standby.configure(routes));
    let server = HttpServer::new(make)
        .workers(1)
        .keep_alive(KeepAlive::Disabled)
        .disable_signals()
        .client_request_timeout(Duration::from_secs(10))
        .shutdown_timeout(SHUTDOWN_S);
    place.serve(|listener| Ok(server.listen(listener)?.run()))
}

/// Where an engine listens, and how to stop that.
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    pub(super) callbacks_address: Option<SocketAddr>,
    pub(super) servers: Vec<ServerHandle>,
}

/// Serves every route, and callbacks where these have a place of their own.
pub(super) fn listen(
    config: &Config,
    (place, callbacks): (&Place, Option<CallbackPlace>),
    routes: Routes,
) -> Result<Listening, StartError> {
    let of_callbacks = callbacks.map(|place| place.listen(&routes.callbacks)).transpose()?;
    let server = listen_publicly(config, place, routes)?;
    let callbacks_address = of_callbacks.as_ref().map(|(address, _)| *address);
    let of_callbacks = of_callbacks.map(|(_, server)| server);
    let servers = [server].into_iter().chain(of_callbacks).collect();
    Ok(Listening { address: place.address, callbacks_address, servers })
}

fn listen_publicly(
    config: &Config,
    place: &Place,
    routes: Routes,
) -> Result<ServerHandle, StartError> {
    let workers = match config.http.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let make = move || WebApp::new().configure(|app| routes.mount(app));
    let server = HttpServer::new(make)
        .workers(workers)
        // An answer is small and must not wait for the next one.
        .tcp_nodelay(true)
        .h1_write_buffer_size(GATHERED_BYTES)
        .disable_signals()
        .client_request_timeout(Duration::from_secs(10))
        // What a client is still sending is read by who answers it. The server's own way would keep
        // each socket for a second after its close frame.
        .client_disconnect_timeout(Duration::ZERO)
        .on_connect(|connection, _| bound(connection))
        .shutdown_timeout(SHUTDOWN_S);
    place.serve(|listener| Ok(server.listen(listener)?.run()))
}

/// Bounds what the system keeps for one connection, and for how long it keeps what its other end
/// does not take. Where it cannot be set, the connection works all the same.
fn bound(connection: &dyn Any) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    let socket = SockRef::from(stream);
    let outcome = socket
        .set_send_buffer_size(SEND_BUFFER_BYTES)
        .and_then(|()| socket.set_tcp_notsent_lowat(UNSENT_BYTES))
        .and_then(|()| socket.set_tcp_user_timeout(Some(UNTAKEN_FOR)))
        .and_then(|()| socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENT_FOR)));
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection keeps the system's own bounds");
    }
}

/// Where callbacks come in over TLS, if they have a listener of their own.
pub(super) struct CallbackPlace {
    place: Place,
    tls: ServerConfig,
}

impl CallbackPlace {
    /// Reads the certificates and takes the address; nobody can connect yet.
    pub(super) fn take(config: &Config) -> Result<Option<Self>, StartError> {
        let pix = &config.pix;
        // Where there is an address the configuration insists on the rest.
        let (Some(address), Some(certificate), Some(ca)) =
            (pix.webhook_listen, pix.webhook_certificate.clone(), &pix.webhook_ca)
        else {
            return Ok(None);
        };
        let key = pix.webhook_certificate_key.clone();
        let tls = inbound::server(&IdentityFiles { certificate, key, password: None }, ca)?;
        Ok(Some(Self { place: Place::take(address)?, tls }))
    }

    /// Serves callbacks to who shows the provider's certificate; where, and how to stop it.
    pub(super) fn listen(
        self,
        callbacks: &Arc<Callbacks>,
    ) -> Result<(SocketAddr, ServerHandle), StartError> {
        let callbacks = Arc::clone(callbacks);
        let mount = move |routes: &mut web::ServiceConfig| {
            callbacks.configure(Proof::Certificate, routes);
        };
        let server = HttpServer::new(move || WebApp::new().configure(&mount))
            .workers(1)
            .tcp_nodelay(true)
            .disable_signals()
            .client_request_timeout(Duration::from_secs(10))
            .shutdown_timeout(SHUTDOWN_S);
        let tls = self.tls;
        let run = |listener| Ok(server.listen_rustls_0_23(listener, tls)?.run());
        let handle = self.place.serve(run)?;
        Ok((self.place.address, handle))
    }
}

/// Serves `/metrics` on its own address, where it has one.
pub(super) fn listen_metrics(
    config: &Config,
    standby: &Arc<Standby>,
) -> Result<Option<ServerHandle>, StartError> {
    let Some(address) = config.metrics.listen else { return Ok(None) };
    let standby = Arc::clone(standby);
    let make = move || WebApp::new().configure(|routes| standby.configure_metrics(routes));
    let server = HttpServer::new(make)
        .workers(1)
        .disable_signals()
        .client_request_timeout(Duration::from_secs(10))
        .bind(address)
        .map_err(|source| StartError::Listen { address, source })?
        .run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(Some(handle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_keeps_little_for_a_connection_and_not_for_ever() -> std::io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let connection = TcpStream::connect(listener.local_addr()?).await?;
        bound(&connection);
        let socket = SockRef::from(&connection);
        assert!(socket.send_buffer_size()? <= 2 * SEND_BUFFER_BYTES);
        assert_eq!(socket.tcp_notsent_lowat()?, UNSENT_BYTES);
        assert_eq!(socket.tcp_user_timeout()?, Some(UNTAKEN_FOR));
        assert!(socket.keepalive()?);
        Ok(())
    }
}
