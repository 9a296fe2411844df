//! What brings an engine to a kill point of money: stories of people who pay, are paid, give, owe
//! and quarrel, each seen through to its end whatever becomes of the engine.

use serde_json::{Value, json};

use crate::story::{Story, text};

/// What every scene needs beside what every story does.
pub(super) const SETTINGS: &[(&str, &str)] = &[
    ("money.payout_absent_ms", "1000"),
    ("money.payout_look_ms", "500"),
    ("pix.janitor_every_ms", "300"),
];

/// What brings an engine to a point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scene {
    /// A ride is paid, paid twice, and its driver paid out.
    Paid,
    /// The same, and no callback ever comes.
    Untold,
    /// A charge ends unpaid, and another is paid.
    Expired,
    /// The provider refuses a charge, and takes the next one.
    Uncharged,
    /// The provider fails refunds and refuses payouts; what was paid out comes back.
    Refused,
    /// Two people decide on payouts.
    Decided,
    /// Nobody can learn what became of a payout.
    Aside,
    /// The provider never tells what it took of a Pix, so that it counts as nothing.
    Untariffed,
    /// A driver gets a tip.
    Tipped,
    /// A tip that nobody pays.
    Lapsed,
    /// A passenger is let off his fee.
    Waived,
    /// A fee is written off, and paid after all.
    WrittenOff,
    /// A passenger contests a ride, its driver answers, and it is ruled for the passenger.
    Contested,
    /// A driver contests a ride.
    Heard,
    /// Banks claim fraud twice: once in vain.
    Claimed,
    /// Credit that was put in and given pays a part of a ride.
    Prepaid,
    /// Credit pays a part of a fee, which is waived then.
    Returned,
}

impl Scene {
    pub(super) fn of(point: &str) -> Self {
        let (room, moment) = point.split_once('.').expect("a room");
        match (room, moment.split('.').next().expect("a moment")) {
            ("janitor", _) => Self::Untold,
            ("payment", "top_up_asked" | "credit_used") | ("credit", _) => Self::Prepaid,
            ("payment", "relieved") => Self::Returned,
            ("payment", "charge_ordered" | "charge_ended" | "credit_asked") => Self::Expired,
            ("effect", "look" | "take_back") => Self::Expired,
            ("payment", "charge_refused") => Self::Uncharged,
            ("payment", "refund_failed") => Self::Refused,
            ("wallet", "payout_failed" | "payout_returned") => Self::Refused,
            ("wallet", "payout_approved" | "payout_rejected") => Self::Decided,
            ("wallet", "payout_set_aside") => Self::Aside,
            ("payment", "pix_stated") | ("tariff", _) => Self::Untariffed,
            ("payment", "tip_given") => Self::Tipped,
            ("payment", "tip_lapsed") => Self::Lapsed,
            ("payment", "fee_waived") => Self::Waived,
            ("payment", "written_off" | "write_off_reversed") => Self::WrittenOff,
            ("write_off", _) => Self::WrittenOff,
            ("payment", "contested") => Self::Heard,
            ("payment", "wallet_said") => Self::Contested,
            ("payment", "bank_claimed" | "bank_rejected" | "bank_took") => Self::Claimed,
            ("claim", _) => Self::Claimed,
            ("wallet", moment) if moment.starts_with("dispute_") => Self::Contested,
            _ => Self::Paid,
        }
    }

    pub(super) fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Paid | Self::Untold | Self::Uncharged => &[],
            Self::Tipped | Self::Waived | Self::Prepaid | Self::Returned => &[],
            // A wallet's word that was lost is asked for again after two minutes.
            Self::Contested | Self::Heard | Self::Claimed => &[("clock.speed", "20")],
            // What is not told in a minute is nothing.
            Self::Untariffed => &[("clock.speed", "50")],
            Self::Lapsed => &[("clock.speed", "5"), ("money.charge_expiry_ms", "30000")],
            Self::WrittenOff => &[("money.write_off_after_ms", "2000")],
            Self::Expired => &[("clock.speed", "5"), ("money.charge_expiry_ms", "15000")],
            // A refund that failed is tried again after a minute.
            Self::Refused => &[("clock.speed", "20")],
            Self::Decided => &[("money.payout_approval_above", "1.00")],
            Self::Aside => &[("money.payout_held_ms", "1000")],
        }
    }

    pub(super) async fn play(self, story: &Story<'_>) {
        match self {
            Self::Paid => paid(story).await,
            Self::Untold => {
                let lost = json!({"kind": "lose"});
                let form = json!({"on": "webhook", "fault": lost, "count": 100_000});
                story.tell("faults", form).await;
                paid(story).await;
            }
            Self::Expired => expired(story).await,
            Self::Uncharged => uncharged(story).await,
            Self::Refused => refused(story).await,
            Self::Decided => decided(story).await,
            Self::Aside => aside(story).await,
            Self::Untariffed => drop(story.rides_and_pays().await),
            Self::Tipped => tipped(story).await,
            Self::Lapsed => lapsed(story).await,
            Self::Waived => waived(story).await,
            Self::WrittenOff => written_off(story).await,
            Self::Contested => contested(story).await,
            Self::Heard => heard(story).await,
            Self::Claimed => claimed(story).await,
            Self::Prepaid => prepaid(story).await,
            Self::Returned => returned(story).await,
        }
    }
}

async fn paid(story: &Story<'_>) {
    let txid = story.rides_and_pays().await;
    let twice = story.pays(&txid).await;
    story.goes_back(&twice).await;
    let payout = story.takes_out().await;
    story.ends(&payout, "done").await;
}

async fn expired(story: &Story<'_>) {
    let payment = story.rides().await;
    story.charged(&payment).await;
    story.is(&payment, "expired").await;
    let txid = story.charged_again(&payment).await;
    story.pays(&txid).await;
    story.is(&payment, "paid").await;
}

async fn uncharged(story: &Story<'_>) {
    // What is refused may be asked for again while nobody has recorded that.
    always_fails(story, ("PUT", "/v2/cob/*"), 400).await;
    let payment = story.rides().await;
    story.is(&payment, "expired").await;
    story.heals().await;
    let txid = story.charged_again(&payment).await;
    story.pays(&txid).await;
    story.is(&payment, "paid").await;
}

async fn refused(story: &Story<'_>) {
    let txid = story.rides_and_pays().await;
    story.tell("script", json!({"fail_refunds": 1})).await;
    let twice = story.pays(&txid).await;
    story.goes_back(&twice).await;
    story.tell("script", json!({"deny_sends": 1000})).await;
    let denied = story.takes_out().await;
    story.ends(&denied, "failed").await;
    story.tell("script", json!({"deny_sends": 0})).await;
    let done = story.takes_out().await;
    story.ends(&done, "done").await;
    let id = done.rsplit('/').next().expect("an id").replace('-', "");
    story.tell(&format!("payouts/{id}/return"), json!({"value": "5.00"})).await;
    let returned = |has: &Value| has["available"] == "5.00";
    story.line.until("/v1/me/balance", &story.driver.token, returned).await;
}

async fn decided(story: &Story<'_>) {
    let admins = [story.line.logs_in("ada").await, story.line.logs_in("bob").await];
    story.rides_and_pays().await;
    let payout = story.takes_out().await;
    for admin in &admins {
        let approve = format!("{payout}/approve");
        story.line.does(("POST", &approve), admin, json!({})).await;
    }
    story.ends(&payout, "done").await;
    story.rides_and_pays().await;
    let payout = story.takes_out().await;
    let reject = format!("{payout}/reject");
    story.line.does(("POST", &reject), &admins[0], json!({"reason": "not today"})).await;
    story.ends(&payout, "rejected").await;
}

async fn aside(story: &Story<'_>) {
    story.rides_and_pays().await;
    story.fails(("PUT", "/v3/gn/pix/*"), &json!({"kind": "drop_after"})).await;
    always_fails(story, ("GET", "/v2/gn/pix/enviados/*"), 503).await;
    let payout = story.takes_out().await;
    story.line.until(&payout, &story.driver.token, |payout| payout["status"] == "unclear").await;
    story.heals().await;
    story.ends(&payout, "done").await;
}

/// A ride that is paid, and may be tipped or contested: its payment, and the number of its Pix.
async fn settled(story: &Story<'_>) -> (String, Value) {
    let payment = story.rides().await;
    let txid = story.charged(&payment).await;
    let pix = story.pays(&txid).await;
    story.is(&payment, "paid").await;
    (payment, pix)
}

async fn tipped(story: &Story<'_>) {
    let (payment, _) = settled(story).await;
    let tip = story.tips(&story.ride_of(&payment).await).await;
    let token = &story.passenger.token;
    let shown = story.line.until(&tip, token, |tip| tip["pix"].is_object()).await;
    story.pays(&shown["pix"]["txid"]).await;
    story.is(&tip, "paid").await;
}

async fn lapsed(story: &Story<'_>) {
    let (payment, _) = settled(story).await;
    let tip = story.tips(&story.ride_of(&payment).await).await;
    story.is(&tip, "lapsed").await;
}

async fn waived(story: &Story<'_>) {
    let admin = story.line.logs_in("ada").await;
    let fee = story.calls_off().await;
    story.charged(&fee).await;
    let body = json!({"reason": "the driver asked for it"});
    story.line.does(("POST", &format!("{fee}/waive")), &admin, body).await;
    story.is(&fee, "waived").await;
}

async fn written_off(story: &Story<'_>) {
    let fee = story.calls_off().await;
    let txid = story.charged(&fee).await;
    story.is(&fee, "written_off").await;
    story.pays(&txid).await;
    story.is(&fee, "paid").await;
}

/// Somebody contests a ride, somebody else answers, an admin rules: the path of the dispute.
async fn ruled(story: &Story<'_>, ride: &str, (by, other): (&str, &str), winner: &str) -> String {
    let (line, admin) = (&story.line, story.line.logs_in("ada").await);
    let body = json!({"reason": "wrong_route"});
    let opened = line.does(("POST", &format!("{ride}/dispute")), by, body).await;
    let dispute = format!("/v1/disputes/{}", text(&opened, "dispute_id"));
    let said = json!({"text": "the street was closed"});
    line.does(("POST", &format!("{dispute}/evidence")), other, said).await;
    let ruling = json!({"for": winner, "reason": "it was"});
    line.does(("POST", &format!("{dispute}/ruling")), &admin, ruling).await;
    dispute
}

async fn contested(story: &Story<'_>) {
    let (payment, pix) = settled(story).await;
    let people = (&*story.passenger.token, &*story.driver.token);
    ruled(story, &story.ride_of(&payment).await, people, "passenger").await;
    story.goes_back(&pix).await;
    story.is(&payment, "refunded").await;
}

async fn heard(story: &Story<'_>) {
    let (payment, _) = settled(story).await;
    let people = (&*story.driver.token, &*story.passenger.token);
    let dispute = ruled(story, &story.ride_of(&payment).await, people, "driver").await;
    let token = &story.passenger.token;
    story.line.until(&dispute, token, |dispute| dispute["status"] == "for_driver").await;
}

async fn claimed(story: &Story<'_>) {
    for (granted, end) in [(false, "for_driver"), (true, "for_passenger")] {
        let (payment, pix) = settled(story).await;
        let pix = pix.as_str().expect("a number");
        let claim = story.tell(&format!("pix/{pix}/claim"), json!({})).await;
        let known = async |status: &str| {
            let is_it = |dispute: &Value| dispute["status"] == status;
            let listed = |list: &Value| list["items"].as_array().into_iter().flatten().any(is_it);
            story.line.until("/v1/disputes", &story.driver.token, listed).await;
        };
        known("open").await;
        let decision = json!({"accepted": granted});
        story.tell(&format!("claims/{}/decide", text(&claim, "id")), decision).await;
        known(end).await;
        story.is(&payment, if granted { "refunded" } else { "paid" }).await;
    }
}

async fn prepaid(story: &Story<'_>) {
    let admin = story.line.logs_in("ada").await;
    story.is_given(&admin, "2.00").await;
    story.tops_up("5.00").await;
    let payment = story.rides().await;
    let txid = story.charged(&payment).await;
    let shown = story.is(&payment, "pending").await;
    assert_eq!(shown["credited"], "7.00", "once: {shown}");
    story.pays(&txid).await;
    story.is(&payment, "paid").await;
    story.has_credit("0.00").await;
    story.is_given(&admin, "200.00").await;
    let payment = story.rides().await;
    story.is(&payment, "paid").await;
}

async fn returned(story: &Story<'_>) {
    let admin = story.line.logs_in("ada").await;
    story.is_given(&admin, "2.00").await;
    let fee = story.calls_off().await;
    story.charged(&fee).await;
    let waive = format!("{fee}/waive");
    story.line.does(("POST", &waive), &admin, json!({"reason": "rain"})).await;
    story.is(&fee, "waived").await;
    story.has_credit("2.00").await;
}

async fn always_fails(story: &Story<'_>, (method, path): (&str, &str), status: u16) {
    let fault = json!({"kind": "status", "status": status});
    let form =
        json!({"on": "api", "method": method, "path": path, "count": 100_000, "fault": fault});
    story.tell("faults", form).await;
}
