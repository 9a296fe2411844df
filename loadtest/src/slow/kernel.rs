//! What the kernel knows of the engine's sockets: from outside, without the engine's word.

use std::collections::HashMap;
use std::net::SocketAddr;

/// An open socket of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queue {
    /// Bytes that were written and that the client's side has not taken.
    pub(super) unsent: u64,
}

/// Sockets between the engine and its clients that the engine has not closed, by the client's port.
pub(super) fn open_sockets(engine: SocketAddr) -> anyhow::Result<HashMap<u16, Queue>> {
    Ok(parse(&std::fs::read_to_string("/proc/net/tcp")?, engine.port()))
}

/// Lines: number, local address, remote address, state, queues. All hexadecimal.
fn parse(table: &str, engine: u16) -> HashMap<u16, Queue> {
    const ESTABLISHED: &str = "01";
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    let socket = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, remote) = (port(fields.next()?)?, port(fields.next()?)?);
        let is_open = fields.next()? == ESTABLISHED;
        let unsent = u64::from_str_radix(fields.next()?.split_once(':')?.0, 16).ok()?;
        (local == engine && is_open).then_some((remote, Queue { unsent }))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_open_sockets_of_the_engine_are_seen() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1\n\
             1: 0100007F:1F90 0100007F:C350 01 0001F400:00000010 01:00000014 00000000 0 0 2\n\
             2: 0100007F:C350 0100007F:1F90 01 00000007:00000000 00:00000000 00000000 0 0 3\n\
             3: 0100007F:1F90 0100007F:C351 04 00000001:00000000 00:00000000 00000000 0 0 4\n";
        assert_eq!(parse(table, 8080), HashMap::from([(50_000, Queue { unsent: 128_000 })]));
    }
}
