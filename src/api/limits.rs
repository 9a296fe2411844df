//! Limits: how often one person, one address and one account may ask. Counted in memory.
//!
//! Keys of accounts are hashes: what stands in memory does not tell who tried to log in.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use ibora_domain::ids::UserId;

use super::problem::Problem;
use crate::network::network;
use crate::obs::Metrics;

/// How often may be asked.
#[derive(Debug, Clone)]
pub struct LimitOptions {
    pub enabled: bool,
    pub user_per_s: u32,
    pub user_burst: u32,
    pub anonymous_per_min: u32,
    pub auth_per_min: u32,
}

pub(super) struct Limits {
    enabled: bool,
    metrics: Arc<Metrics>,
    clock: DefaultClock,
    hasher: RandomState,
    users: DefaultKeyedRateLimiter<UserId>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    auth_addresses: DefaultKeyedRateLimiter<IpAddr>,
    auth_accounts: DefaultKeyedRateLimiter<u64>,
}

impl Limits {
    pub(super) fn new(options: &LimitOptions, metrics: Arc<Metrics>) -> Self {
        let many = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let user = Quota::per_second(many(options.user_per_s));
        let auth = Quota::per_minute(many(options.auth_per_min));
        Self {
            enabled: options.enabled,
            metrics,
            clock: DefaultClock::default(),
            hasher: RandomState::new(),
            users: RateLimiter::keyed(user.allow_burst(many(options.user_burst))),
            addresses: RateLimiter::keyed(Quota::per_minute(many(options.anonymous_per_min))),
            auth_addresses: RateLimiter::keyed(auth),
            auth_accounts: RateLimiter::keyed(auth),
        }
    }

    /// A request with a good token.
    pub(super) fn user(&self, user: UserId) -> Result<(), Problem> {
        self.count("user", &self.users, &user)
    }

    /// A request without one.
    pub(super) fn address(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        self.count("address", &self.addresses, &network(address))
    }

    /// A request to `/auth/*`, by where it comes from.
    pub(super) fn auth_address(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        self.count("auth_address", &self.auth_addresses, &network(address))
    }

    /// A request to `/auth/*`, by the account it is about: an email, or a token's family.
    pub(super) fn auth_account(&self, account: &str) -> Result<(), Problem> {
        let account = self.hasher.hash_one(account.trim().to_ascii_lowercase());
        self.count("auth_account", &self.auth_accounts, &account)
    }

    /// Forgets those who have been quiet for so long that they begin anew anyway.
    pub(super) fn sweep(&self) {
        self.users.retain_recent();
        self.users.shrink_to_fit();
        for addresses in [&self.addresses, &self.auth_addresses] {
            addresses.retain_recent();
            addresses.shrink_to_fit();
        }
        self.auth_accounts.retain_recent();
        self.auth_accounts.shrink_to_fit();
    }

    fn count<K: Hash + Eq + Clone>(
        &self,
        limit: &'static str,
        limiter: &DefaultKeyedRateLimiter<K>,
        key: &K,
    ) -> Result<(), Problem> {
        if !self.enabled {
            return Ok(());
        }
        limiter.check_key(key).map_err(|until| {
            self.metrics.rate_limited.with_label_values(&[limit]).inc();
            Problem::RateLimited { wait: until.wait_time_from(self.clock.now()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn limits(enabled: bool) -> Limits {
        let options = LimitOptions {
            enabled,
            user_per_s: 1,
            user_burst: 3,
            anonymous_per_min: 2,
            auth_per_min: 2,
        };
        Limits::new(&options, Metrics::new())
    }

    #[test]
    fn one_person_uses_up_nobody_elses_share() {
        let limits = limits(true);
        let (ana, bia) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        for _ in 0..3 {
            limits.user(ana).expect("within the burst");
        }
        let Err(Problem::RateLimited { wait }) = limits.user(ana) else { panic!("limited") };
        assert!(wait.as_millis() <= 1000);
        limits.user(bia).expect("her own share");
        assert_eq!(limits.metrics.rate_limited.with_label_values(&["user"]).get(), 1);
    }

    #[test]
    fn an_address_is_a_network_and_an_account_is_one_however_it_is_written() {
        let limits = limits(true);
        let at = |text: &str| limits.address(Some(text.parse().expect("an address"))).is_ok();
        assert!(at("2001:db8::1") && at("2001:db8::2") && !at("2001:db8::3"));
        assert!(at("2001:db8:0:1::1"), "another network");
        assert!(at("10.0.0.1") && at("::ffff:10.0.0.1") && !at("10.0.0.1"));
        assert!(limits.auth_account("Ana@example.com").is_ok());
        assert!(limits.auth_account(" ana@example.com").is_ok());
        assert!(limits.auth_account("ana@example.com").is_err());
        limits.sweep();
        assert!(limits.auth_account("ana@example.com").is_err(), "what counts is kept");
    }

    #[test]
    fn measuring_can_switch_limits_off() {
        let limits = limits(false);
        assert!((0..1000).all(|_| limits.address(None).is_ok()));
    }
}
