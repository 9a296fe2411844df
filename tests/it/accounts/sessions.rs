//! Logging in, refreshing, logging out, tickets; and what happens to copied tokens.

use std::sync::Arc;

use futures_util::future::join_all;
use ibora::accounts::{AccountError, Caller, TokenError, TokenPair};
use ibora::journal::{AccountRow, CommitError, RotationRow, UserRow};
use ibora_domain::ids::UserId;
use ibora_domain::person::{Email, PersonName, Role, Scope};
use ibora_domain::token::{FamilyId, TokenHash};
use ibora_domain::units::{Millis, UnixMillis};
use secrecy::SecretString;
use uuid::Uuid;

use super::{PASSWORD, START, World, admin_form, form};
use crate::pg;

const DAY: Millis = Millis::from_secs(24 * 60 * 60);

impl World {
    /// A new passenger's tokens.
    async fn tokens(&self) -> TokenPair {
        self.register(form(Role::Passenger, 1)).await.tokens
    }

    async fn refresh(&self, pair: &TokenPair) -> Result<TokenPair, AccountError> {
        self.accounts.refresh(&pair.refresh_token).await
    }

    async fn login(&self, email: &str, password: &str) -> Result<TokenPair, AccountError> {
        self.accounts.login(email, SecretString::from(password)).await
    }
}

#[tokio::test]
async fn a_refresh_gives_a_new_pair_that_works() {
    let world = World::new().await;
    let first = world.tokens().await;
    world.after(Millis::from_secs(901));
    let expired = world.accounts.authenticate(&first.access_token);
    assert_eq!(expired.err(), None, "a small leeway");
    world.after(Millis::from_secs(10));
    let expired = world.accounts.authenticate(&first.access_token);
    assert_eq!(expired.err(), Some(TokenError::Expired));

    let second = world.refresh(&first).await.expect("refreshed");
    assert_ne!(second.refresh_token, first.refresh_token);
    assert_ne!(second.access_token, first.access_token);
    assert!(world.accounts.authenticate(&second.access_token).is_ok());
    let third = world.refresh(&second).await.expect("refreshed again");
    assert!(world.accounts.authenticate(&third.access_token).is_ok());
}

#[tokio::test]
async fn a_lost_answer_does_not_log_out() {
    let world = World::new().await;
    let first = world.tokens().await;
    let lost = world.refresh(&first).await.expect("refreshed");
    world.after(Millis::from_secs(30));
    let told_again = world.refresh(&first).await.expect("within the grace");
    assert_eq!(told_again.refresh_token, lost.refresh_token, "one token is live");
    assert!(world.accounts.authenticate(&told_again.access_token).is_ok());
    assert!(world.refresh(&told_again).await.is_ok(), "and it works");
}

#[tokio::test]
async fn a_replaced_token_used_late_ends_its_family_and_no_other() {
    let world = World::new().await;
    let registered = world.register(form(Role::Passenger, 1)).await;
    let first = registered.tokens;
    let other = world.login("person1@example.com", PASSWORD).await.expect("another device");
    let second = world.refresh(&first).await.expect("refreshed");
    world.after(Millis(30_001));
    let reused = Err(AccountError::TokenReused { user: registered.user.id });
    assert_eq!(world.refresh(&first).await, reused);
    assert_eq!(world.refresh(&second).await, Err(AccountError::InvalidCredentials));
    assert_eq!(world.refresh(&first).await, Err(AccountError::InvalidCredentials));
    assert!(world.refresh(&other).await.is_ok(), "another login goes on");
}

#[tokio::test]
async fn a_token_replaced_twice_ends_its_family_at_once() {
    let world = World::new().await;
    let registered = world.register(form(Role::Passenger, 1)).await;
    let second = world.refresh(&registered.tokens).await.expect("refreshed");
    let third = world.refresh(&second).await.expect("refreshed again");
    let reused = world.refresh(&registered.tokens).await;
    assert_eq!(reused, Err(AccountError::TokenReused { user: registered.user.id }));
    assert_eq!(world.refresh(&third).await, Err(AccountError::InvalidCredentials));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_refreshes_at_once_one_rotates_and_all_hear_the_same() {
    let world = World::new().await;
    let first = world.tokens().await;
    let attempts = (0..20).map(|_| {
        let accounts = Arc::clone(&world.accounts);
        let token = first.refresh_token.clone();
        tokio::spawn(async move { accounts.refresh(&token).await })
    });
    let answers = join_all(attempts).await;
    let mut live: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.expect("no panic").expect("told").refresh_token)
        .collect();
    live.dedup();
    assert_eq!(live.len(), 1, "one live token, however many asked");
    let current = "SELECT encode(previous_hash, 'hex') FROM token_families";
    let previous = world.ask(current).await;
    let next = world.accounts.refresh(&live[0]).await.expect("the live one works");
    assert_ne!(world.ask(current).await, previous);
    assert_ne!(next.refresh_token, live[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_rotations_at_once_the_journal_stores_one() {
    let world = World::new().await;
    let pair = world.tokens().await;
    let (family, _) = pair.refresh_token.split_once('.').expect("two parts");
    let family = FamilyId(Uuid::try_parse(family).expect("an id"));
    let current = world.ask("SELECT encode(current_hash, 'hex') FROM token_families").await;
    let current: [u8; 32] = hex::decode(current).expect("hex").try_into().expect("32 bytes");
    let rotate = |next: u8| {
        let journal = Arc::clone(&world.journal);
        let row = RotationRow {
            family,
            expected_current_hash: TokenHash(current),
            next_hash: TokenHash([next; 32]),
            expires_at: START + DAY,
            at: START,
        };
        tokio::spawn(
            async move { journal.record_account(vec![AccountRow::FamilyRotated(row)]).await },
        )
    };
    let answers = join_all((1..=5).map(rotate)).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("no panic")).collect();
    let lost = CommitError::Refused { constraint: Some("token_families_rotation".to_owned()) };
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(lost.clone())).count(), 4);
}

#[tokio::test]
async fn a_family_lives_thirty_days_from_its_last_use() {
    let world = World::new().await;
    let first = world.tokens().await;
    world.after(Millis(29 * DAY.0));
    let second = world.refresh(&first).await.expect("in time");
    world.after(Millis(29 * DAY.0));
    let third = world.refresh(&second).await.expect("a use begins it anew");
    world.after(Millis(30 * DAY.0));
    assert_eq!(world.refresh(&third).await, Err(AccountError::InvalidCredentials));
}

#[tokio::test]
async fn logging_out_ends_the_refresh_token_and_not_the_minutes_of_the_access_token() {
    let world = World::new().await;
    let pair = world.tokens().await;
    assert_eq!(world.accounts.logout(&pair.refresh_token).await, Ok(()));
    assert_eq!(world.refresh(&pair).await, Err(AccountError::InvalidCredentials));
    assert!(world.accounts.authenticate(&pair.access_token).is_ok());
    assert_eq!(world.accounts.logout(&pair.refresh_token).await, Ok(()), "again is no error");
    let nonsense = world.accounts.logout("nonsense").await;
    assert_eq!(nonsense, Err(AccountError::InvalidCredentials));
}

#[tokio::test]
async fn tokens_that_are_none_of_ours_are_refused() {
    let world = World::new().await;
    let pair = world.tokens().await;
    let unknown = format!("{}.{}", Uuid::now_v7().simple(), "A".repeat(43));
    for text in ["", ".", "x.y", &pair.access_token, &unknown, &"9".repeat(100_000)] {
        let refused = world.accounts.refresh(text).await;
        assert_eq!(refused, Err(AccountError::InvalidCredentials), "{text:.40}");
    }
    let as_access = world.accounts.authenticate(&pair.refresh_token);
    assert_eq!(as_access.err(), Some(TokenError::Malformed));
}

#[tokio::test]
async fn every_failed_login_hears_the_same() {
    let world = World::new().await;
    world.register(form(Role::Passenger, 1)).await;
    world.register(form(Role::Passenger, 2)).await;
    let suspend = "UPDATE users SET status = 'suspended' WHERE email = 'person2@example.com'";
    assert_eq!(pg::refusal(&world.database, suspend).await, None);
    let simulated = UserRow {
        id: UserId(Uuid::now_v7()),
        role: Role::Admin,
        name: PersonName::parse("Bot").expect("valid"),
        email: Email::parse("bot@example.com").expect("valid"),
        phone: None,
        cpf: None,
        password_hash: None,
        at: START,
    };
    let stored = world.journal.record_account(vec![AccountRow::UserCreated(simulated)]).await;
    assert_eq!(stored, Ok(()));

    let long = "x".repeat(100_000);
    let failures = [
        ("person1@example.com", "wrong password"),
        ("person1@example.com", ""),
        ("person1@example.com", &long),
        ("nobody@example.com", PASSWORD),
        ("no email", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        ("\0", PASSWORD),
        ("person2@example.com", PASSWORD),
        ("bot@example.com", PASSWORD),
        ("bot@example.com", ""),
    ];
    for (email, password) in failures {
        let refused = world.login(email, password).await;
        assert_eq!(refused, Err(AccountError::InvalidCredentials), "{email}");
    }
    assert!(world.login("person1@example.com", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_suspended_person_cannot_refresh() {
    let world = World::new().await;
    let pair = world.tokens().await;
    let suspend = "UPDATE users SET status = 'suspended'";
    assert_eq!(pg::refusal(&world.database, suspend).await, None);
    assert_eq!(world.refresh(&pair).await, Err(AccountError::InvalidCredentials));
}

#[tokio::test]
async fn an_admin_logs_in_with_the_admin_scope() {
    let world = World::new().await;
    world.accounts.create_admin(&Caller::system(), admin_form(1)).await.expect("made");
    let pair = world.login("admin1@example.com", PASSWORD).await.expect("logged in");
    let identity = world.accounts.authenticate(&pair.access_token).expect("our token");
    assert!(identity.may(Scope::Admin));
    assert_eq!(identity.role, Role::Admin);
}

#[tokio::test]
async fn a_ticket_stands_for_its_token_once() {
    let world = World::new().await;
    let pair = world.tokens().await;
    let identity = world.accounts.authenticate(&pair.access_token).expect("our token");
    let ticket = world.accounts.issue_ticket(identity.clone()).expect("room");
    assert_eq!(ticket.expires_in, 30);
    assert_eq!(world.accounts.redeem_ticket(&ticket.ticket), Ok(identity.clone()));
    assert_eq!(world.accounts.redeem_ticket(&ticket.ticket), Err(TokenError::UnknownTicket));
    let late = world.accounts.issue_ticket(identity).expect("room");
    world.after(Millis::from_secs(30));
    assert_eq!(world.accounts.redeem_ticket(&late.ticket), Err(TokenError::UnknownTicket));
}

#[tokio::test]
async fn a_seeded_token_lives_as_long_as_it_was_signed_for() {
    let world = World::new().await;
    let bot = UserId(Uuid::now_v7());
    let token = world.accounts.sign_access_for(bot, Role::Driver, DAY).expect("signed");
    world.after(Millis(DAY.0 - 1000));
    let identity = world.accounts.authenticate(&token).expect("alive");
    assert_eq!((identity.user, identity.role), (bot, Role::Driver));
    assert_eq!(identity.expires_at, UnixMillis(START.0) + DAY);
    world.after(Millis::from_secs(6));
    assert_eq!(world.accounts.authenticate(&token).err(), Some(TokenError::Expired));
}
