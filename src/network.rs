//! What both edges read of a request the same way: its id, where it comes from, and what counts as
//! one address wherever something is limited by address. `api` and `realtime` ask here, `config`
//! reads ranges; it knows no other room.
//!
//! An address of IPv6 counts by its first 64 bits, for whoever has one has all of these. What
//! `X-Forwarded-For` says counts only where a trusted proxy wrote it: anybody may send one. Its
//! standard sibling `Forwarded` is not read, for a proxy that writes the one passes the other on.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};
use thiserror::Error;
use uuid::Uuid;

/// What an answer calls its request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id taken from a client.
const ID_CHARS_MAX: usize = 128;
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// How many bits of a mapped address come before those of IPv4.
const MAPPED_BITS: u32 = 96;

/// The name that a client gave its request in this header; a new one where it gave none.
#[must_use]
pub fn named(headers: &HeaderMap, name: &HeaderName) -> String {
    let given = headers.get(name).and_then(|value| value.to_str().ok());
    let plain = |text: &&str| {
        (1..=ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    given.filter(plain).map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

/// The network that an address stands for. Nobody's is everybody's.
#[must_use]
pub fn network(address: Option<IpAddr>) -> IpAddr {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        Some(address) => address,
        None => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Addresses that begin alike: `10.0.0.0/8`, or a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    first: u128,
    mask: u128,
}

/// A text that is no range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a range of addresses is written like 10.0.0.0/8, 2001:db8::/32 or 192.0.2.1")]
pub struct NoRange;

impl FromStr for Range {
    type Err = NoRange;

    fn from_str(text: &str) -> Result<Self, NoRange> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| NoRange)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoRange)?;
        let above = if address.is_ipv4() { MAPPED_BITS } else { 0 };
        let prefix = prefix.map_or(u128::BITS, |prefix| above + u32::from(prefix));
        let behind = u128::BITS.checked_sub(prefix).ok_or(NoRange)?;
        let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
        let first = bits(address);
        // Bits behind the prefix are a slip: nobody knows which of the two was meant.
        if first & !mask == 0 { Ok(Self { first, mask }) } else { Err(NoRange) }
    }
}

impl Range {
    fn contains(self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.first
    }
}

/// The same for an address of IPv4 and for the one of IPv6 that means it.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The proxies whose word counts.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<Range>);

impl Proxies {
    /// Trusts the addresses in these ranges, and no other.
    #[must_use]
    pub const fn new(trusted: Vec<Range>) -> Self {
        Self(trusted)
    }

    /// Where a request comes from, as far as that can be trusted.
    #[must_use]
    pub fn client_of(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr().map(|peer| peer.ip())?;
        Some(self.client(peer, request.headers()))
    }

    /// Each proxy adds the address it was asked from at the right: the first from there that is no
    /// proxy of ours is the client. What is left of it anybody may have written. The peer itself
    /// where the word of its proxy makes no sense.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).collect();
        let entries = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|b| *b == b','));
        let mut addresses = entries.map(address);
        let client = addresses.find(|address| address.is_none_or(|address| !self.trusts(address)));
        client.flatten().unwrap_or(peer)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }
}

/// One entry of the header. Some proxies add the port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim();
    let plain = entry.strip_prefix('[').and_then(|entry| entry.strip_suffix(']'));
    let address = plain.unwrap_or(entry).parse().ok();
    address.or_else(|| entry.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn an_address_is_a_network() {
        let of = |text: &str| network(Some(text.parse().expect("an address")));
        assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(network(None), network(None));
    }

    #[test]
    fn a_range_has_the_addresses_that_begin_alike() {
        let has = |range: &str, address: &str| {
            let range: Range = range.parse().expect("a range");
            range.contains(address.parse().expect("an address"))
        };
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("10.0.0.0/8", "::ffff:10.0.0.1"), "as a socket for both may say it");
        assert!(has("192.0.2.1", "192.0.2.1") && !has("192.0.2.1", "192.0.2.2"));
        assert!(has("0.0.0.0/0", "192.0.2.1") && !has("0.0.0.0/0", "2001:db8::1"));
        assert!(has("2001:db8::/32", "2001:db8:1::1") && !has("2001:db8::/32", "2001:db9::1"));
        assert!(has("::1", "::1") && has("::/0", "2001:db8::1"));
        for text in ["", "10", "10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "proxy", " ::1"]
        {
            assert_eq!(text.parse::<Range>(), Err(NoRange), "{text}");
        }
    }

    /// Who asks, by lines of the header, where 10.0.0.0/8 and 2001:db8::/32 are proxies.
    fn client(peer: &str, lines: &[&str]) -> String {
        let ranges = ["10.0.0.0/8", "2001:db8::/32"].map(|range| range.parse().expect("a range"));
        let peer = SocketAddr::new(peer.parse().expect("an address"), 1);
        let request = lines.iter().fold(TestRequest::default().peer_addr(peer), |request, line| {
            request.append_header((FORWARDED_FOR, *line))
        });
        let client = Proxies::new(ranges.into()).client_of(&request.to_http_request());
        client.expect("an address").to_string()
    }

    #[test]
    fn only_a_trusted_proxy_says_who_asks() {
        let cases: &[(&str, &[&str], &str)] = &[
            ("192.0.2.9", &["198.51.100.7"], "192.0.2.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.5, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.5, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.5", "198.51.100.7", "10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["10.0.0.3,10.0.0.2"], "10.0.0.1"),
            ("2001:db8::1", &["2001:db9::7, 2001:db8::2"], "2001:db9::7"),
            ("::ffff:10.0.0.1", &["[2001:db9::7]:4711"], "2001:db9::7"),
            ("10.0.0.1", &["[2001:db9::7]"], "2001:db9::7"),
            ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
        ];
        for (peer, lines, expected) in cases {
            assert_eq!(client(peer, lines), *expected, "{peer} says {lines:?}");
        }
    }

    #[test]
    fn where_the_word_of_a_proxy_makes_no_sense_its_own_address_counts() {
        for line in ["", "unknown", "198.51.100.7, _hidden", "198.51.100.7,", "1.2.3", "[::1", "é"]
        {
            assert_eq!(client("10.0.0.1", &[line]), "10.0.0.1", "{line}");
        }
        let client = client("10.0.0.1", &["nonsense, 198.51.100.7"]);
        assert_eq!(client, "198.51.100.7", "what is left of it is not read");
    }
}
