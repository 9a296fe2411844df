//! What the kernel knows of the engine's sockets: from outside, without the engine's word.
//!
//! Asked for one socket at a time (Linux: `sock_diag`), which takes microseconds. To go through its
//! whole table, `/proc/net/tcp`, takes a processor for many milliseconds, however few sockets there
//! are, and witnesses would wait for that rather than for frozen clients.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};

// Of linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h.
const NETLINK: i32 = 16;
const SOCK_DIAG: i32 = 4;
const BY_FAMILY: u16 = 20;
const REQUEST: u16 = 1;
const ERROR: u16 = 2;
const INET: u8 = 2;
const TCP: u8 = 6;
const ESTABLISHED: u8 = 1;
const NO_SUCH: i32 = -2;
/// Bytes of the head of each message, and of the part that names a socket.
const HEAD: usize = 16;
const NAME: usize = 48;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The way to ask.
pub(super) struct Kernel(Mutex<Socket>);

impl Kernel {
    pub(super) fn open() -> anyhow::Result<Self> {
        let protocol = Some(Protocol::from(SOCK_DIAG));
        let socket = Socket::new(Domain::from(NETLINK), Type::DGRAM, protocol);
        let socket = socket.context("the kernel tells nothing of sockets")?;
        socket.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self(Mutex::new(socket)))
    }

    /// Bytes that one wrote and the other has not taken; `None` where the first is not open.
    pub(super) fn unsent(&self, from: SocketAddr, to: SocketAddr) -> anyhow::Result<Option<u32>> {
        let (SocketAddr::V4(from), SocketAddr::V4(to)) = (from, to) else {
            anyhow::bail!("a socket that is not IPv4")
        };
        let mut answer = [0; 1024];
        let socket = self.0.lock();
        (&*socket).write_all(&question(from, to))?;
        let length = (&*socket).read(&mut answer)?;
        parse(&answer[..length])
    }
}

fn question(from: SocketAddrV4, to: SocketAddrV4) -> Vec<u8> {
    const LENGTH: u32 = 72;
    let mut question = Vec::with_capacity(72);
    question.extend(LENGTH.to_ne_bytes());
    question.extend(BY_FAMILY.to_ne_bytes());
    question.extend(REQUEST.to_ne_bytes());
    // Number and port of who asks.
    question.extend([0; 8]);
    // Nothing beside the answer itself, sockets in all states.
    question.extend([INET, TCP, 0, 0]);
    question.extend(u32::MAX.to_ne_bytes());
    question.extend(from.port().to_be_bytes());
    question.extend(to.port().to_be_bytes());
    let place = |ip: &Ipv4Addr| [ip.octets(), [0; 4], [0; 4], [0; 4]].concat();
    question.extend(place(from.ip()));
    question.extend(place(to.ip()));
    // On whatever interface, and no cookie.
    question.extend([0; 4]);
    question.extend([0xff; 8]);
    question
}

fn parse(answer: &[u8]) -> anyhow::Result<Option<u32>> {
    let bytes =
        |at: usize| answer.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    let four = |at: usize| bytes(at).context("the kernel's answer is cut short");
    let [low, high, ..] = four(4)?;
    match u16::from_ne_bytes([low, high]) {
        BY_FAMILY if four(HEAD)?[1] != ESTABLISHED => Ok(None),
        // After its name come when its timer is due, what was not read, what was not sent.
        BY_FAMILY => Ok(Some(u32::from_ne_bytes(four(HEAD + 4 + NAME + 8)?))),
        ERROR if i32::from_ne_bytes(four(HEAD)?) == NO_SUCH => Ok(None),
        ERROR => anyhow::bail!("the kernel: error {}", i32::from_ne_bytes(four(HEAD)?)),
        kind => anyhow::bail!("the kernel: a message of kind {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn it_tells_what_waits_for_a_client_and_that_a_socket_is_gone() -> anyhow::Result<()> {
        let kernel = Kernel::open()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (mut engine, _) = listener.accept()?;
        let (here, there) = (engine.local_addr()?, client.local_addr()?);
        assert_eq!(kernel.unsent(here, there)?, Some(0));
        engine.set_nonblocking(true)?;
        while engine.write(&[0; 4096]).is_ok() {}
        assert!(kernel.unsent(here, there)?.is_some_and(|unsent| unsent > 0));
        drop(engine);
        assert_eq!(kernel.unsent(here, there)?, None);
        drop((client, listener));
        assert_eq!(kernel.unsent(here, there)?, None);
        Ok(())
    }
}
