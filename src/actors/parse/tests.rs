//! Tests of parsing: by table, a row a promise. REST and sessions rest on them alike.

use ibora_domain::ride::CancelReason;
use serde_json::json;

use super::*;

const RIDE: Uuid = Uuid::from_u128(7);
const ID: &str = "0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee";

/// `field: code` of each fault.
fn faults<T: std::fmt::Debug>(read: Read<T>) -> Vec<String> {
    let faults = read.expect_err("refused");
    faults.iter().map(|fault| format!("{}: {}", fault.field, fault.code)).collect()
}

fn refused(op: &str, d: &Value) -> Vec<String> {
    faults(command(op, Some(RIDE), d))
}

fn ride_request() -> Value {
    json!({
        "pickup": {"lat": -23.55, "lng": -46.63}, "dropoff": {"lat": -23.56, "lng": -46.65},
        "category": "economy", "payment_method": "pix",
    })
}

#[test]
fn every_op_of_the_contract_becomes_its_command() {
    let at = json!({"lat": -23.55, "lng": -46.63});
    let table = [
        ("driver.online", json!({"category": "moto", "vehicle_id": ID, "location": at})),
        ("driver.offline", json!({})),
        ("ride.request", ride_request()),
        ("ride.accept", json!({"offer_id": ID})),
        ("ride.accept", Value::Null),
        ("ride.decline", json!({"offer_id": ID, "reason": "too far"})),
        ("ride.arrive", json!({"location": at})),
        ("ride.start", json!({"pin": "0420"})),
        ("ride.complete", json!({"location": null, "reason": "closed road"})),
        ("ride.cancel", json!({"reason": "changed_mind", "note": ""})),
    ];
    for (op, d) in table {
        let made = command(op, Some(RIDE), &d).unwrap_or_else(|faults| panic!("{op}: {faults:?}"));
        assert_eq!(made.op(), op);
    }
    let cancel = command("ride.cancel", Some(RIDE), &json!({"reason": "no_show"}));
    let expected = Command::Cancel { ride: RideId(RIDE), reason: CancelReason::NoShow, note: None };
    assert_eq!(cancel, Ok(expected));
}

#[test]
fn each_fault_is_told_by_its_field() {
    let long = "x".repeat(501);
    let table = [
        ("ride.fly", json!({}), "op: unknown_value"),
        ("ride.accept", json!([]), ": wrong_type"),
        ("ride.accept", json!({"offer_id": "1"}), "offer_id: invalid_format"),
        ("ride.accept", json!({"offer_id": 1}), "offer_id: wrong_type"),
        ("ride.accept", json!({"offerId": ID}), "offerId: unknown_field"),
        ("driver.offline", json!({"role": "admin"}), "role: unknown_field"),
        ("driver.online", json!({}), "location: required"),
        ("driver.online", json!({"location": {"lat": 1}}), "location.lng: required"),
        ("ride.arrive", json!({"location": "here"}), "location: wrong_type"),
        ("ride.arrive", json!({"location": {"lat": "1", "lng": 0}}), "location.lat: wrong_type"),
        ("ride.arrive", json!({"location": {"lat": 91, "lng": 0}}), "location.lat: out_of_range"),
        (
            "ride.arrive",
            json!({"location": {"lat": 0, "lng": -180.1}}),
            "location.lng: out_of_range",
        ),
        (
            "ride.arrive",
            json!({"location": {"lat": 0, "lng": 0, "alt": 1}}),
            "location.alt: unknown_field",
        ),
        ("ride.start", json!({}), "pin: required"),
        ("ride.start", json!({"pin": null}), "pin: required"),
        ("ride.start", json!({"pin": 1234}), "pin: wrong_type"),
        ("ride.start", json!({"pin": "123"}), "pin: out_of_range"),
        ("ride.start", json!({"pin": "12345"}), "pin: out_of_range"),
        ("ride.start", json!({"pin": "12a4"}), "pin: invalid_format"),
        ("ride.start", json!({"pin": "١٢٣٤"}), "pin: invalid_format"),
        ("ride.cancel", json!({}), "reason: required"),
        ("ride.cancel", json!({"reason": "boredom"}), "reason: unknown_value"),
        ("ride.cancel", json!({"reason": {"other": null}}), "reason: wrong_type"),
        ("ride.cancel", json!({"reason": "other", "note": long}), "note: out_of_range"),
        ("ride.cancel", json!({"reason": "other", "note": "a\u{0}b"}), "note: invalid_character"),
        ("ride.decline", json!({"reason": "\u{1b}[31m"}), "reason: invalid_character"),
    ];
    for (op, d, expected) in table {
        assert_eq!(refused(op, &d), [expected], "{op} {d}");
    }
    let without_key = faults(command("ride.start", None, &json!({"pin": "1"})));
    assert_eq!(without_key, ["key: required", "pin: out_of_range"]);
}

#[test]
fn all_faults_of_a_request_are_told_at_once() {
    let stop = json!({"lat": 0, "lng": 0});
    let d = json!({
        "pickup": {"lat": 100, "lng": 200}, "category": "Economy", "payment_method": "gold",
        "stops": [stop, {"lat": 0}], "notes": 5, "scheduled_at": "2030-01-01T00:00:00Z",
        "fare": "0.01",
    });
    let expected = [
        "pickup.lat: out_of_range",
        "pickup.lng: out_of_range",
        "dropoff: required",
        "stops.1.lng: required",
        "category: unknown_value",
        "payment_method: unknown_value",
        "notes: wrong_type",
        "scheduled_at: unsupported",
        "fare: unknown_field",
    ];
    assert_eq!(refused("ride.request", &d), expected);
    let mut d = ride_request();
    d["stops"] = json!(vec![stop.clone(); 6]);
    assert_eq!(refused("ride.request", &d), ["stops: out_of_range"]);
    d["stops"] = json!(vec![stop; 5]);
    d["notes"] = json!("é".repeat(500));
    assert!(command("ride.request", None, &d).is_ok(), "the limits themselves are fine");
    let many: serde_json::Map<_, _> = (0..1000).map(|n| (format!("f{n}"), json!(n))).collect();
    assert_eq!(refused("driver.offline", &Value::Object(many)).len(), 20);
}

#[test]
fn availability_needs_a_place_only_to_go_online() {
    let at = json!({"lat": -23.55, "lng": -46.63});
    let online = availability(&json!({"status": "online", "category": "comfort", "location": at}));
    assert_eq!(online.expect("valid").op(), "driver.online");
    assert_eq!(availability(&json!({"status": "offline"})), Ok(Command::Offline));
    assert_eq!(faults(availability(&json!({"status": "online"}))), ["location: required"]);
    assert_eq!(faults(availability(&json!({"status": "busy"}))), ["status: unknown_value"]);
    assert_eq!(faults(availability(&Value::Null)), ["status: required"]);
}

#[test]
fn an_estimate_is_of_one_category_or_of_all() {
    let trip = json!({"pickup": {"lat": 0, "lng": 0}, "dropoff": {"lat": 1, "lng": 1}});
    assert_eq!(estimate(&trip).expect("valid").category, None);
    let mut one = trip;
    one["category"] = json!("premium");
    assert_eq!(estimate(&one).expect("valid").category, Some(Category::Premium));
    one["quote_id"] = json!(ID);
    assert_eq!(faults(estimate(&one)), ["quote_id: unknown_field"]);
}

#[test]
fn points_come_oldest_first_whichever_way_they_were_sent() {
    let d = json!({"points": [
        {"at": "2026-11-22T01:26:03.512Z", "lat": 1, "lng": 2, "accuracy_m": 4.6, "speed_mps": 3,
         "bearing_deg": 359.5},
        {"at": "2026-11-21T22:26:02-03:00", "lat": 3, "lng": 4},
    ]});
    let points = points(&d).expect("valid");
    assert_eq!([points[0].at.0, points[1].at.0], [1_795_310_762_000, 1_795_310_763_512]);
    assert_eq!([points[0].accuracy, points[1].accuracy], [Metres(u32::MAX), Metres(5)]);
    let rows = rows(&json!([
        [1_795_310_763_512_i64, 1, 2, 4.6, 3, 359.5],
        [1_795_310_762_000_i64, 3, 4, null],
    ]));
    let rows = rows.expect("valid");
    for (row, point) in rows.iter().zip(&points) {
        assert_eq!((row.at, row.place, row.accuracy), (point.at, point.place, point.accuracy));
    }
}

#[test]
fn points_that_are_none_are_told() {
    let table = [
        (json!({}), "points: required"),
        (json!({"points": []}), "points: out_of_range"),
        (json!({"points": {}}), "points: wrong_type"),
        (json!({"points": [1]}), "points.0: wrong_type"),
        (json!({"points": [{"at": "now", "lat": 0, "lng": 0}]}), "points.0.at: invalid_format"),
        (json!({"points": vec![json!(0); 101]}), "points: out_of_range"),
    ];
    for (d, expected) in table {
        assert_eq!(faults(points(&d))[0], expected, "{d:.60}");
    }
    let table = [
        (json!([[0, 0]]), "0: invalid_format"),
        (json!([[0, 0, 0], [0, 91, 181, -2]]), "1.lat: out_of_range"),
        (json!([[0.5, 0, 0]]), "0.at: out_of_range"),
        (json!([["0", 0, 0]]), "0.at: wrong_type"),
        (json!([[-1, 0, 0]]), "0.at: out_of_range"),
        (json!({}), ": wrong_type"),
    ];
    for (d, expected) in table {
        assert_eq!(faults(rows(&d))[0], expected, "{d}");
    }
}
