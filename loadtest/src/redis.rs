//! A redis-server of our own, for the peers: on loopback, on a free port, nothing kept on disk, as
//! people run it for locks and positions. It ends with its handle.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, IntoConnectionInfo};

use crate::started;

const START_DEADLINE: Duration = Duration::from_secs(10);

/// A running redis-server.
pub(crate) struct RedisServer {
    child: Child,
    dir: PathBuf,
    client: Client,
}

impl RedisServer {
    /// Starts one and waits until it answers.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let dir = started::new_dir("ibora-redis")?;
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(&dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server cannot be started; `./dev bench` installs it")?;
        let address = format!("redis://127.0.0.1:{port}/").into_connection_info()?;
        // A small command is not held back until an earlier one was acknowledged.
        let tcp = TcpSettings::default().set_nodelay(true);
        let client = Client::open(address.set_tcp_settings(tcp))?;
        let server = Self { child, dir, client };
        let deadline = Instant::now() + START_DEADLINE;
        while let Err(error) = server.connect().await {
            anyhow::ensure!(Instant::now() < deadline, "redis-server does not answer: {error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(server)
    }

    /// A connection that many callers share; their commands are pipelined.
    pub(crate) async fn connect(&self) -> anyhow::Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        Ok(self.client.get_multiplexed_async_connection_with_config(&config).await?)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing of it is to stay.
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.dir).ok();
    }
}
