//! Pix keys of drivers: who may change one, when it is good, and what is kept of the change.

use ibora::accounts::{AccountError, Caller, PixKeyForm, PixKeyView};
use ibora_domain::ids::DriverId;
use ibora_domain::person::Role;
use ibora_domain::pix::PixKeyKind;
use ibora_domain::units::{Millis, UnixMillis};
use secrecy::SecretString;

use super::{PASSWORD, START, World, faults, form};

const DAY: Millis = Millis::from_secs(24 * 60 * 60);

impl World {
    async fn set(
        &self,
        driver: DriverId,
        (key, password): (&str, &str),
        now: UnixMillis,
    ) -> Result<PixKeyView, AccountError> {
        let by = Caller { principal: Some((driver.into(), Role::Driver)), ..Caller::system() };
        let form = PixKeyForm { pix_key: key.to_owned(), password: SecretString::from(password) };
        self.accounts.set_pix_key(&by, driver, form, now).await
    }
}

#[tokio::test]
async fn the_first_key_is_good_at_once_and_a_change_cools_for_a_day() {
    let world = World::new().await;
    let driver: DriverId = world.register(form(Role::Driver, 1)).await.user.id.into();
    let payee = async || world.journal.records().payee(driver).await.expect("reads");
    assert_eq!(payee().await, None);
    let first = world.set(driver, ("Maria@Example.com", PASSWORD), START).await.expect("set");
    assert_eq!((first.kind, first.usable_from), (PixKeyKind::Email, START));
    let later = START + Millis(5);
    let same = world.set(driver, ("maria@example.com", PASSWORD), later).await.expect("set");
    assert_eq!(same.usable_from, START, "the same key again is no change");

    let second = world.set(driver, ("+5511987654321", PASSWORD), later).await.expect("set");
    assert_eq!(second.usable_from, later + DAY);
    let kept = payee().await.expect("a payee");
    assert_eq!(kept.key.expose(), "+5511987654321");
    assert_eq!(kept.cpf.expect("known").expose(), super::cpf(1));
    assert!(kept.is_cooling(later + Millis(DAY.0 - 1)) && !kept.is_cooling(later + DAY));
    // Back to the one before is a change as well: it may be the thief who goes back.
    let back = world.set(driver, ("maria@example.com", PASSWORD), later).await.expect("set");
    assert_eq!(back.usable_from, later + DAY);

    let trail = world.audit(None, 10).await.expect("listed").items;
    let acts: Vec<_> = trail.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(acts, ["set_pix_key"; 3]);
    assert_eq!(trail[1].changes["kind"]["from"], "email");
    assert_eq!(trail[1].changes["kind"]["to"], "phone");
    let told = serde_json::to_string(&trail).expect("JSON");
    assert!(!told.contains("maria") && !told.contains("98765"), "{told}");
}

#[tokio::test]
async fn another_password_changes_nothing_and_what_is_no_key_is_refused() {
    let world = World::new().await;
    let driver: DriverId = world.register(form(Role::Driver, 1)).await.user.id.into();
    let wrong = world.set(driver, ("maria@example.com", "wrong horse battery"), START).await;
    assert_eq!(wrong, Err(AccountError::InvalidCredentials));
    let no_key = world.set(driver, ("529.982.247-26", PASSWORD), START).await;
    assert_eq!(faults(no_key), ["pix_key: invalid_format"]);
    let passenger: DriverId = world.register(form(Role::Passenger, 2)).await.user.id.into();
    let none = world.set(passenger, ("maria@example.com", PASSWORD), START).await;
    assert_eq!(none, Err(AccountError::NotFound));
    assert_eq!(world.ask("SELECT count(*)::text FROM driver_pix_keys").await, "0");
    assert_eq!(world.ask("SELECT count(*)::text FROM audit_logs").await, "0");
}

#[tokio::test]
async fn of_two_changes_at_once_both_are_kept_one_after_the_other() {
    let world = World::new().await;
    let driver: DriverId = world.register(form(Role::Driver, 1)).await.user.id.into();
    let (one, other) = tokio::join!(
        world.set(driver, ("maria@example.com", PASSWORD), START),
        world.set(driver, ("52998224725", PASSWORD), START),
    );
    let cooling = [one.expect("set"), other.expect("set")].map(|key| key.usable_from > START);
    assert_ne!(cooling[0], cooling[1], "one was first, and the other changed it");
    assert_eq!(world.ask("SELECT max(version)::text FROM driver_pix_keys").await, "2");
    assert_eq!(world.ask("SELECT count(*)::text FROM audit_logs").await, "2");
}

#[tokio::test]
async fn payouts_are_stopped_and_resumed_by_admins_with_a_reason_and_a_trail() {
    let world = World::new().await;
    let admin = world.admin(1).await;
    let stopped = async || world.journal.records().payouts_stopped().await.expect("reads");
    assert_eq!(stopped().await, None);
    let system = Caller::system();
    world.accounts.switch_payouts(&system, true, "MONEY_2 is broken").await.expect("stopped");
    assert_eq!(stopped().await.map(|stop| stop.reason), Some("MONEY_2 is broken".to_owned()));
    world.accounts.switch_payouts(&system, true, "once more").await.expect("stopped");
    let driver = world.register(form(Role::Driver, 1)).await.user;
    let own = Caller { principal: Some((driver.id, Role::Driver)), ..Caller::system() };
    let refused = world.accounts.switch_payouts(&own, false, "please").await;
    assert_eq!(refused, Err(AccountError::Forbidden));
    let unsaid = world.accounts.switch_payouts(&admin, false, " ").await;
    assert_eq!(faults(unsaid), ["reason: out_of_range"]);
    let resumed = world.accounts.switch_payouts(&admin, false, "books checked").await;
    assert!(!resumed.expect("resumed").stopped);
    assert_eq!(stopped().await, None);
    let trail = world.audit(None, 10).await.expect("listed").items;
    let acts: Vec<_> = trail.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(acts, ["resume_payouts", "stop_payouts", "create_admin"]);
    assert_eq!(trail[0].user_id, admin.principal.map(|(user, _)| user));
}
