//! Session tickets: a browser swaps its access token for one, because it cannot send a header
//! with a WebSocket and nothing secret may stand in a URL.
//!
//! Kept in memory only, by hash: a restart makes them void, and whoever asked asks again.

use std::collections::HashMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ibora_domain::ids::UserId;
use ibora_domain::units::{Millis, UnixMillis};
use parking_lot::Mutex;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::{AccountError, TokenError};
use super::tokens::Identity;

/// How long a ticket is good.
const LIFE: Millis = Millis::from_secs(30);
/// Tickets out at the same time, of all people.
const OUT_MAX: usize = 10_000;
/// Tickets out at the same time of one person: so that one cannot use up everybody's.
const OUT_MAX_EACH: usize = 8;

/// A ticket, in the shape of the public contract.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Ticket {
    pub ticket: String,
    /// Seconds.
    pub expires_in: u64,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(***)")
    }
}

#[derive(Default)]
pub(super) struct Tickets {
    out: Mutex<HashMap<[u8; 32], Entry>>,
}

struct Entry {
    identity: Identity,
    good_until: UnixMillis,
}

impl Tickets {
    pub(super) fn issue(
        &self,
        identity: Identity,
        now: UnixMillis,
    ) -> Result<Ticket, AccountError> {
        let ticket = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let good_until = (now + LIFE).min(identity.expires_at);
        let mut out = self.out.lock();
        if out.len() >= OUT_MAX || held_by(&out, identity.user) >= OUT_MAX_EACH {
            out.retain(|_, entry| entry.good_until > now);
        }
        if out.len() >= OUT_MAX || held_by(&out, identity.user) >= OUT_MAX_EACH {
            return Err(AccountError::Overloaded);
        }
        out.insert(digest(&ticket), Entry { identity, good_until });
        Ok(Ticket { ticket, expires_in: LIFE.0 / 1000 })
    }

    pub(super) fn redeem(&self, ticket: &str, now: UnixMillis) -> Result<Identity, TokenError> {
        // The map finds a hash, so how long that takes says nothing about the ticket.
        let entry = self.out.lock().remove(&digest(ticket)).ok_or(TokenError::UnknownTicket)?;
        if entry.good_until > now { Ok(entry.identity) } else { Err(TokenError::UnknownTicket) }
    }
}

fn held_by(out: &HashMap<[u8; 32], Entry>, user: UserId) -> usize {
    out.values().filter(|entry| entry.identity.user == user).count()
}

fn digest(ticket: &str) -> [u8; 32] {
    Sha256::digest(ticket.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use ibora_domain::person::Role;
    use uuid::Uuid;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_310_763_000);

    fn somebody() -> Identity {
        Identity {
            user: UserId(Uuid::now_v7()),
            role: Role::Passenger,
            scopes: Role::Passenger.scopes().to_vec(),
            expires_at: NOW + Millis::from_secs(900),
        }
    }

    #[test]
    fn a_ticket_works_once() {
        let tickets = Tickets::default();
        let ana = somebody();
        let ticket = tickets.issue(ana.clone(), NOW).expect("room").ticket;
        assert_eq!(tickets.redeem("", NOW), Err(TokenError::UnknownTicket));
        assert_eq!(tickets.redeem(&ticket, NOW), Ok(ana));
        assert_eq!(tickets.redeem(&ticket, NOW), Err(TokenError::UnknownTicket));
    }

    #[test]
    fn a_ticket_is_good_for_thirty_seconds_and_no_longer_than_its_token() {
        let tickets = Tickets::default();
        let redeem = |life_s, after_ms| {
            let ana = Identity { expires_at: NOW + Millis::from_secs(life_s), ..somebody() };
            let ticket = tickets.issue(ana, NOW).expect("room").ticket;
            tickets.redeem(&ticket, NOW + Millis(after_ms)).is_ok()
        };
        assert!(redeem(900, 29_999));
        assert!(!redeem(900, 30_000));
        assert!(redeem(10, 9_999));
        assert!(!redeem(10, 10_000));
    }

    #[test]
    fn one_person_cannot_use_up_the_tickets_of_all() {
        let tickets = Tickets::default();
        let greedy = somebody();
        for _ in 0..OUT_MAX_EACH {
            tickets.issue(greedy.clone(), NOW).expect("within the limit");
        }
        assert_eq!(tickets.issue(greedy.clone(), NOW), Err(AccountError::Overloaded));
        assert!(tickets.issue(somebody(), NOW).is_ok());
        assert!(tickets.issue(greedy, NOW + LIFE).is_ok(), "old ones make room");
    }
}
