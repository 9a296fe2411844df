//! What the streams say of offers: each that was made is heard of exactly once more, unless the
//! driver's own command was told its end.

use std::collections::BTreeMap;

use super::bots::Command;
use super::world::World;
use crate::facts::StreamId;
use crate::ids::{DriverId, OfferId, RideId};
use crate::ride::RideEvent;

/// What became of one offer.
#[derive(Debug, Default)]
struct Fate {
    withdrawn: Vec<String>,
    /// Won with it, or declined it.
    settled: bool,
}

pub(super) fn check(world: &World) {
    let mut fates: BTreeMap<(DriverId, RideId, OfferId), Fate> = BTreeMap::new();
    for (stream, rows) in &world.disk.streams {
        let StreamId::Driver(driver) = stream else {
            versions_rise(rows.iter().map(|row| (row.key, row.version)));
            continue;
        };
        for row in rows {
            let body: serde_json::Value = serde_json::from_str(&row.body).expect("is JSON");
            let offer = serde_json::from_value(body["offer_id"].clone());
            let key = offer.map(|offer| (*driver, RideId(row.key), offer));
            match (row.op, key) {
                ("offer.made", Ok(key)) => {
                    let twice = fates.insert(key, Fate::default());
                    assert!(twice.is_none(), "offered twice: {row:?}");
                    assert!(row.urgent && row.expires_at.is_some());
                }
                ("offer.withdrawn", Ok(key)) => {
                    let reason = body["reason"].as_str().unwrap_or_default().to_owned();
                    let fate = fates.get_mut(&key).expect("was made before");
                    fate.withdrawn.push(reason);
                }
                ("ride.updated" | "driver.updated", _) => {}
                (op, _) => unreachable!("{op} on a driver's stream"),
            }
        }
    }
    for id in world.disk.rides.keys() {
        settle(world, *id, &mut fates);
    }
    for (key, fate) in &fates {
        judge(world, *key, fate);
    }
}

fn settle(world: &World, id: RideId, fates: &mut BTreeMap<(DriverId, RideId, OfferId), Fate>) {
    for (event, _) in world.disk.history(id) {
        let key = match event {
            RideEvent::Assigned { driver, offer, .. } => (driver.id, id, *offer),
            RideEvent::OfferDeclined { driver, offer, .. } => (*driver, id, *offer),
            _ => continue,
        };
        let fate = fates.get_mut(&key).expect("an offer settled was made");
        assert!(!fate.settled, "settled twice");
        fate.settled = true;
    }
}

fn judge(world: &World, (driver, ride, offer): (DriverId, RideId, OfferId), fate: &Fate) {
    let known = ["taken", "expired", "canceled", "driver_busy"];
    let his_accepts = world.asked.values().filter(|asked| match asked.command {
        Command::Accept(by, of, _) => (by, of) == (driver, ride),
        _ => false,
    });
    match (fate.settled, &fate.withdrawn[..]) {
        (true, []) => {}
        (false, [reason]) => assert!(known.contains(&&**reason), "{reason}"),
        // His own accept was told so.
        (false, []) => assert!(his_accepts.count() > 0, "{offer} of {ride}: no word of its end"),
        (_, several) => unreachable!("{offer} of {ride} ended more than once: {several:?}"),
    }
}

fn versions_rise(rows: impl Iterator<Item = (uuid::Uuid, u64)>) {
    let mut last = BTreeMap::new();
    for (ride, version) in rows {
        let before = last.insert(ride, version);
        assert!(before.is_none_or(|before| before < version), "{ride}: out of order");
    }
}
