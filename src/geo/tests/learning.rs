//! The power law learns: from drives made up, and from real ones in the order of time.

use std::collections::HashMap;
use std::io::BufRead;

use ibora_domain::place::Coordinates;
use ibora_domain::units::{Seconds, UnixMillis};
use time::PrimitiveDateTime;
use time::format_description::well_known::Iso8601;

use super::real_city::{folder, open};
use super::{Lcg, place};
use crate::geo::{Drive, PowerLaw, Router};

const HOUR: i64 = 3_600_000;

/// Metres to degrees along the equator.
fn east(metres: f64) -> f64 {
    metres / 111_195.08
}

/// A drive of so many metres from a place that took so long.
fn drive(from: Coordinates, metres: f64, took: f64, hour: i64) -> Drive {
    let to = place(from.lat(), from.lng() + east(metres));
    let took = Seconds(ibora_domain::place::whole(took));
    Drive { from, to, began: UnixMillis(hour * HOUR), took }
}

#[test]
fn drives_are_learnt_from_and_absurd_ones_shrugged_off() {
    let law = PowerLaw::default();
    let mut chance = Lcg(3);
    for number in 0..3000 {
        let metres = chance.between(500.0, 9000.0);
        let honest = 450.0 * (metres / 1000.0).powf(0.64) * chance.between(0.7, 1.4);
        let took = if number % 20 == 0 { 80_000.0 } else { honest };
        law.learn(&drive(place(0.0, 0.0), metres, took, 0));
    }
    let learnt = law.seconds_first_km();
    assert!((430.0..490.0).contains(&learnt), "learnt {learnt}");
    let resumed = PowerLaw::new(learnt);
    assert!((resumed.seconds_first_km() - learnt).abs() < 1e-9);
}

#[test]
fn each_zone_and_hour_has_its_own_pace() {
    let law = PowerLaw::default();
    let (slow, quick) = (place(0.05, 0.05), place(5.05, 5.05));
    for _ in 0..2000 {
        for (from, hour, pace) in [(slow, 8, 600.0), (slow, 3, 300.0), (quick, 8, 200.0)] {
            law.learn(&drive(from, 1000.0, pace, hour));
        }
    }
    let pace = |from, hour: i64| {
        law.tell_time(UnixMillis(hour * HOUR + 24 * HOUR));
        law.seconds_for(from, 1.0)
    };
    assert!((560.0..640.0).contains(&pace(slow, 8)), "{}", pace(slow, 8));
    assert!((280.0..330.0).contains(&pace(slow, 3)), "{}", pace(slow, 3));
    assert!((185.0..215.0).contains(&pace(quick, 8)), "{}", pace(quick, 8));
    let elsewhere = pace(place(-30.0, 9.0), 8);
    assert!((200.0..600.0).contains(&elsewhere), "what holds everywhere: {elsewhere}");
}

#[test]
fn nothing_observed_drives_the_power_law_out_of_its_bounds() {
    let law = PowerLaw::default();
    let (here, from) = (|metres| law.seconds_for(place(0.0, 0.0), metres), place(0.0, 0.0));
    for _ in 0..20_000 {
        law.learn(&drive(from, 250.0, f64::from(u32::MAX), 0));
    }
    assert!((here(1.0) - 1800.0).abs() < 1e-6);
    for _ in 0..20_000 {
        law.learn(&drive(from, 5000.0, 130.0, 0));
    }
    assert!((here(1.0) - 60.0).abs() < 1e-6);
    // Faster than a car, or around the corner: these teach nothing.
    let fresh = PowerLaw::default();
    fresh.learn(&drive(from, 5000.0, 0.0, 0));
    fresh.learn(&drive(from, 190.0, 9000.0, 0));
    assert!((fresh.seconds_first_km() - 300.0).abs() < 1e-9);
    assert!((PowerLaw::new(f64::NAN).seconds_first_km() - 300.0).abs() < 1e-9);
}

/// Real rides of the day, those that can be true: 60 s to 3 h, 0.3 to 100 km, below 130 km/h.
fn real_drives() -> Option<Vec<Drive>> {
    let lines = open(&folder("taxigov-2022")?.join("rides.csv.gz")).lines();
    let mut lines = lines.map(|line| line.expect("readable"));
    let header = lines.next().expect("a header");
    let at: HashMap<&str, usize> = header.split(',').enumerate().map(|(at, n)| (n, at)).collect();
    let drive = |line: String| {
        let cells: Vec<&str> = line.split(',').collect();
        let degrees = |name: &str| cells[at[name]].parse::<f64>().ok();
        let moment = |name: &str| {
            let time = PrimitiveDateTime::parse(cells[at[name]], &Iso8601::DEFAULT).ok()?;
            let ms = time.assume_utc().unix_timestamp_nanos() / 1_000_000;
            i64::try_from(ms).ok()
        };
        let place = |lat: &str, lng: &str| Coordinates::new(degrees(lat)?, degrees(lng)?).ok();
        let from = place("pickup_lat", "pickup_lon")?;
        let to = place("dropoff_lat", "dropoff_lon")?;
        let began = moment("started_at")?;
        let took = u32::try_from((moment("finished_at")? - began) / 1000).ok()?;
        let km = f64::from(from.distance_to(to).0) / 1000.0;
        let true_enough = (60..=10_800).contains(&took)
            && (0.3..=100.0).contains(&km)
            && km / f64::from(took) * 3600.0 < 130.0;
        let began = UnixMillis(began);
        true_enough.then_some(Drive { from, to, began, took: Seconds(took) })
    };
    Some(lines.filter_map(drive).collect())
}

#[test]
#[expect(clippy::print_stderr, reason = "a figure that documents quote")]
fn real_rides_are_foretold_within_a_quarter_while_the_law_learns() {
    let Some(drives) = real_drives() else { return };
    assert!(drives.len() > 1900, "{} rides", drives.len());
    // A ride is foretold when it begins and learnt from when it ends.
    let begin = |(number, drive): (usize, &Drive)| (drive.began.0, 1, number);
    let end = |(number, drive): (usize, &Drive)| {
        (drive.began.0 + i64::from(drive.took.0) * 1000, 0, number)
    };
    let mut moments: Vec<(i64, u8, usize)> = drives.iter().enumerate().map(begin).collect();
    moments.extend(drives.iter().enumerate().map(end));
    moments.sort_unstable();
    let law = PowerLaw::default();
    let mut error = 0.0;
    for (at, kind, number) in moments {
        let drive = &drives[number];
        if kind == 0 {
            law.learn(drive);
            continue;
        }
        law.tell_time(UnixMillis(at));
        let foretold = f64::from(law.route(drive.from, drive.to).duration.0);
        let truth = f64::from(drive.took.0);
        error += (foretold - truth).abs() / truth;
    }
    let mape = error / f64::from(u32::try_from(drives.len()).expect("few")) * 100.0;
    eprintln!("MAPE {mape:.2} % over {} rides", drives.len());
    assert!(mape <= 25.0, "MAPE {mape:.2} %");
}
