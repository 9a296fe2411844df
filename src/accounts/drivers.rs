//! Drivers: reviews by admins, and their vehicles.
//!
//! A review rests on the approval that the admin saw decided: of two reviews at once one is
//! stored, and the other is decided again on what the first left. The audit entry is stored in
//! the same commit as the review.

use ibora_domain::category::Category;
use ibora_domain::facts::{CommandKey, Done, ResultRow};
use ibora_domain::ids::{DriverId, VehicleId};
use ibora_domain::person::{Approval, Plate};
use ibora_domain::refusal::Refusal;
use ibora_domain::units::UnixMillis;
use ibora_domain::vehicle::Vehicle;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::Accounts;
use super::audit::Act;
use super::error::{AccountError, FieldError};
use super::options::Caller;
use crate::journal::{AccountRow, AnswerRow, ReviewRow, VehicleRow};
use crate::readmodel::DriverProfile;

/// Vehicles that one driver may have.
const VEHICLES_MAX: u64 = 10;
/// Longest reason of a review, in characters.
const REASON_CHARS_MAX: usize = 500;
/// Longest make, model and color, in characters.
const TEXT_CHARS_MAX: usize = 40;
/// The oldest vehicle.
const YEAR_MIN: i64 = 1950;

/// What an admin decides about a driver.
#[derive(Debug, Clone)]
pub struct Review {
    pub to: Approval,
    pub reason: Option<String>,
}

/// What a driver sends to add a vehicle.
#[derive(Debug, Serialize)]
pub struct VehicleForm {
    pub plate: String,
    pub make: String,
    pub model: String,
    pub color: String,
    pub year: i64,
    pub categories: Vec<Category>,
}

impl Accounts {
    /// Approves, rejects or suspends a driver; audited. What is already so stays so, unaudited.
    /// With `once`, the answer is stored under that key in the same commit.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Invalid` for the reason, `Review` where the present approval
    /// does not allow it, `AnsweredBefore`, `Overloaded`, `Unavailable`.
    pub async fn review_driver(
        &self,
        caller: &Caller,
        driver: DriverId,
        review: Review,
        once: Option<&CommandKey>,
    ) -> Result<DriverProfile, AccountError> {
        if !caller.is_admin() {
            return Err(AccountError::Forbidden);
        }
        let Review { to, reason } = review;
        let mut faults = Vec::new();
        let reason = reason.map(|text| plain(&mut faults, "reason", &text, REASON_CHARS_MAX));
        if !faults.is_empty() {
            return Err(AccountError::Invalid(faults));
        }
        // Twice: whoever loses against another review decides again on what that one left.
        for _ in 0..2 {
            let mut profile = self.driver_profile(driver).await?;
            let reviewed = profile.approval.review(to);
            let mut changes = Vec::new();
            if let Ok(true) = reviewed {
                changes = self.review_rows(caller, &profile, to, reason.clone());
                profile.approval = to;
            }
            let answer = reviewed.map(|_| &profile).map_err(|_| Refusal::IllegalTransition);
            // The answer first: where the command was done before, that is what is found out.
            let answered = once.map(|key| self.answered(key, driver.0, answer));
            let rows = answered.into_iter().chain(changes).collect();
            match self.store_all(rows).await? {
                Ok(()) => {
                    reviewed?;
                    return Ok(profile);
                }
                Err(constraint) if constraint == "drivers_review" => {}
                Err(constraint) => return Err(not_stored(constraint)),
            }
        }
        Err(AccountError::Overloaded)
    }

    /// As `store`, where there may be nothing to store.
    async fn store_all(&self, rows: Vec<AccountRow>) -> Result<Result<(), String>, AccountError> {
        if rows.is_empty() { Ok(Ok(())) } else { self.store(rows).await }
    }

    /// The answer as it is kept: the JSON that goes out.
    pub(super) fn answered<T: Serialize>(
        &self,
        key: &CommandKey,
        owner: Uuid,
        answer: Result<&T, Refusal>,
    ) -> AccountRow {
        let done = |shown| {
            let body = serde_json::to_string(shown).unwrap_or_default();
            Done { version: 0, body: body.into() }
        };
        let result = ResultRow { key: key.clone(), owner, answer: answer.map(done) };
        AccountRow::Answered(AnswerRow { result, at: self.now() })
    }

    /// Adds a vehicle to a driver. With `once`, the answer is stored in the same commit.
    ///
    /// # Errors
    /// `Invalid`, also for a plate the driver already has and for one vehicle too many;
    /// `NotFound` where there is no such driver; `AnsweredBefore`, `Overloaded`, `Unavailable`.
    pub async fn add_vehicle(
        &self,
        driver: DriverId,
        form: VehicleForm,
        once: Option<&CommandKey>,
    ) -> Result<Vehicle, AccountError> {
        let vehicle = check_vehicle(form, self.now())?;
        if self.people.vehicle_count(driver).await? >= VEHICLES_MAX {
            let fault = FieldError::new("plate", "too_many", "a driver has at most 10 vehicles");
            return Err(AccountError::Invalid(vec![fault]));
        }
        let row = VehicleRow { driver, vehicle: vehicle.clone(), at: self.now() };
        let answered = once.map(|key| self.answered(key, driver.0, Ok(&vehicle)));
        let rows = answered.into_iter().chain([AccountRow::VehicleAdded(row)]);
        match self.store(rows.collect()).await? {
            Ok(()) => Ok(vehicle),
            Err(constraint) => Err(match constraint.as_str() {
                "vehicles_driver_plate_key" => {
                    let detail = "you have a vehicle with this plate";
                    AccountError::Invalid(vec![FieldError::new("plate", "taken", detail)])
                }
                "vehicles_driver_fkey" => AccountError::NotFound,
                _ => not_stored(constraint),
            }),
        }
    }

    fn review_rows(
        &self,
        caller: &Caller,
        profile: &DriverProfile,
        to: Approval,
        reason: Option<String>,
    ) -> Vec<AccountRow> {
        let at = self.now();
        let act = Act {
            action: match to {
                Approval::Approved => "approve_driver",
                Approval::Rejected => "reject_driver",
                Approval::Suspended => "suspend_driver",
                Approval::Pending => "reopen_driver",
            },
            entity_type: "driver",
            entity_id: profile.id.0,
            changes: json!({
                "approval": { "from": profile.approval, "to": to },
                "reason": reason,
            }),
        };
        let review = ReviewRow {
            driver: profile.id,
            from: profile.approval,
            to,
            reason,
            by: caller.principal.map(|(user, _)| user),
            at,
        };
        vec![AccountRow::DriverReviewed(review), AccountRow::Audit(caller.audit(act, at))]
    }
}

pub(super) fn not_stored(constraint: String) -> AccountError {
    match constraint.as_str() {
        "command_results_pkey" => AccountError::AnsweredBefore,
        _ => AccountError::NotStored { constraint: Some(constraint) },
    }
}

fn check_vehicle(form: VehicleForm, now: UnixMillis) -> Result<Vehicle, AccountError> {
    let mut faults = Vec::new();
    let plate = Plate::parse(&form.plate).map_err(|error| faults.push(error.into())).ok();
    let make = plain(&mut faults, "make", &form.make, TEXT_CHARS_MAX);
    let model = plain(&mut faults, "model", &form.model, TEXT_CHARS_MAX);
    let color = plain(&mut faults, "color", &form.color, TEXT_CHARS_MAX);
    // Next year's models are sold this year.
    let newest = year_of(now) + 1;
    let year = u16::try_from(form.year).ok().filter(|_| (YEAR_MIN..=newest).contains(&form.year));
    if year.is_none() {
        let detail = format!("a year is from {YEAR_MIN} to {newest}");
        faults.push(FieldError::new("year", "out_of_range", detail));
    }
    let mut categories = form.categories;
    categories.sort_unstable();
    categories.dedup();
    if categories.is_empty() {
        let detail = "a vehicle serves at least one category";
        faults.push(FieldError::new("categories", "out_of_range", detail));
    }
    match (plate, year, faults.is_empty()) {
        (Some(plate), Some(year), true) => {
            let id = VehicleId(Uuid::now_v7());
            Ok(Vehicle { id, plate, make, model, color, year, categories })
        }
        _ => Err(AccountError::Invalid(faults)),
    }
}

/// `text` without blanks around it; a fault where it is empty, too long or not plain.
pub(super) fn plain(
    faults: &mut Vec<FieldError>,
    field: &'static str,
    text: &str,
    chars_max: usize,
) -> String {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        faults.push(FieldError::new(field, "invalid_character", "no control characters"));
    } else if !(1..=chars_max).contains(&text.chars().count()) {
        let detail = format!("1 to {chars_max} characters");
        faults.push(FieldError::new(field, "out_of_range", detail));
    }
    text.to_owned()
}

/// The year in UTC, of which RFC 3339 begins with the digits.
fn year_of(now: UnixMillis) -> i64 {
    now.to_string().split('-').next().and_then(|year| year.parse().ok()).unwrap_or(YEAR_MIN)
}
