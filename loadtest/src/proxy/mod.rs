//! A proxy on loopback that breaks connections on purpose: between the engine and its database, or
//! between an engine and its clients.
//!
//! Tests and benches put it in between. It works on a thread of its own, so that a caller may block
//! while it forwards, and leaves nothing behind when it is dropped. What becomes of each piece of a
//! link is for a [`Judge`] to say; [`Pass`] lets everything through, [`postgres`] knows commits.

mod judge;
mod link;
pub mod postgres;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::AbortHandle;

pub use judge::{Fate, Judge, Pass, Way};
use link::Link;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Whom connections lead to.
#[derive(Debug, Clone)]
pub enum Upstream {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Makes the judge of a new link.
pub type Judges = Arc<dyn Fn() -> Box<dyn Judge> + Send + Sync>;

/// A proxy that forwards until it is told otherwise. Dropped, it ends all its connections.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What is asked of the proxy as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    over: bool,
    refuse: bool,
    hold: bool,
    /// Of each piece, by its way.
    delay: [Duration; 2],
}

pub(crate) struct Shared {
    upstream: Upstream,
    judges: Judges,
    weather: watch::Sender<Weather>,
    links: Mutex<HashMap<u64, Open>>,
}

struct Open {
    silence: watch::Sender<bool>,
    task: AbortHandle,
}

impl FaultProxy {
    /// A proxy to `upstream` on a free port.
    ///
    /// # Errors
    /// No port, or no thread.
    pub fn start(upstream: Upstream) -> io::Result<Self> {
        Self::start_with(upstream, Arc::new(|| Box::new(Pass)))
    }

    /// As [`FaultProxy::start`], with a judge for each link.
    ///
    /// # Errors
    /// No port, or no thread.
    pub fn start_with(upstream: Upstream, judges: Judges) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let weather = watch::Sender::new(Weather::default());
        let shared = Arc::new(Shared { upstream, judges, weather, links: Mutex::default() });
        // Bound and never listening: the port stays ours while connections are refused.
        let (keeper, address) = {
            let _inside = runtime.enter();
            let keeper = bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            let address = keeper.local_addr()?;
            (keeper, address)
        };
        let listener = {
            let _inside = runtime.enter();
            listen(address)?
        };
        let ours = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("fault-proxy".into()).spawn(move || {
            runtime.block_on(serve(&ours, address, listener));
            drop(keeper);
            // The runtime ends here, and with it every link.
        })?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether new connections are refused. Open ones are left alone.
    pub fn refuse(&self, refuse: bool) {
        self.change(|weather| weather.refuse = refuse);
    }

    /// Half-open: while it holds nothing gets through, nor is anything closed. A link that lost a
    /// byte is silent for ever, until either end gives it up or it is cut.
    pub fn hold(&self, hold: bool) {
        self.change(|weather| weather.hold = hold);
    }

    /// How long each piece that goes this way takes.
    pub fn delay(&self, way: Way, delay: Duration) {
        self.change(|weather| weather.delay[way as usize] = delay);
    }

    /// Ends every connection.
    pub fn cut_all(&self) {
        for id in self.links() {
            self.cut(id);
        }
    }

    /// The open links, oldest first.
    #[must_use]
    pub fn links(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.shared.links.lock().keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Ends one connection.
    pub fn cut(&self, link: u64) {
        if let Some(open) = self.shared.links.lock().remove(&link) {
            open.task.abort();
        }
    }

    /// Makes one connection half-open, for ever.
    pub fn silence(&self, link: u64) {
        if let Some(open) = self.shared.links.lock().get(&link) {
            open.silence.send_replace(true);
        }
    }

    fn change(&self, how: impl FnOnce(&mut Weather)) {
        self.shared.weather.send_modify(how);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.change(|weather| weather.over = true);
        if let Some(thread) = self.thread.take() {
            thread.join().ok(); // Its panic was printed, and fails whoever waited for it.
        }
    }
}

/// Accepts while connections are not refused; returns when the proxy is over.
async fn serve(shared: &Arc<Shared>, address: SocketAddr, first: TcpListener) {
    let mut weather = shared.weather.subscribe();
    let mut listener = Some(first);
    let mut next = 0;
    loop {
        let now = *weather.borrow_and_update();
        if now.over {
            return;
        }
        if now.refuse {
            listener = None;
        } else if listener.is_none() {
            listener = listen(address).ok();
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Ok((client, _)) = accepted => {
                next += 1;
                open(shared, next, client);
            }
            _ = weather.changed() => {}
        }
    }
}

fn open(shared: &Arc<Shared>, id: u64, client: TcpStream) {
    client.set_nodelay(true).ok();
    let silence = watch::Sender::new(false);
    let link = Link::new((shared.judges)(), shared.weather.subscribe(), silence.subscribe());
    // Held, so that a link which ends at once does not remove itself before it is there.
    let mut links = shared.links.lock();
    let theirs = Arc::clone(shared);
    let task = tokio::spawn(async move {
        forward(link, client, &theirs.upstream).await;
        theirs.links.lock().remove(&id);
    });
    links.insert(id, Open { silence, task: task.abort_handle() });
}

/// A link from its beginning to its end. Nobody behind it: it ends at once.
async fn forward(link: Link, client: TcpStream, upstream: &Upstream) {
    match upstream {
        Upstream::Tcp(address) => {
            if let Ok(server) = TcpStream::connect(address).await {
                server.set_nodelay(true).ok();
                link.run(client.into_split(), server.into_split()).await;
            }
        }
        Upstream::Unix(path) => {
            if let Ok(server) = UnixStream::connect(path).await {
                link.run(client.into_split(), server.into_split()).await;
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address)?.listen(BACKLOG)
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
