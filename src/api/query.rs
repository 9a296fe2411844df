//! Queries: the parameters behind `?`, as strict as bodies. Every list takes `limit` and `cursor`.

use actix_web::web;
use ibora_domain::field::FieldError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use time::Date;
use time::macros::format_description;

use super::problem::Problem;
use crate::actors::parse::{Form, Read, integer, name, raw_text};

/// Items of a page, where the client does not say.
const LIMIT: u32 = 20;
const LIMIT_MAX: i64 = 100;

/// Which page of a list.
#[derive(Debug)]
pub(super) struct PageOf {
    pub(super) limit: u32,
    pub(super) cursor: Option<String>,
}

/// The parameters of a query as an object of texts.
pub(super) fn parameters(query: &str) -> Result<Value, Problem> {
    let fault = |field: &str, detail| {
        Problem::Invalid(vec![FieldError::new(field.to_owned(), "invalid_format", detail)])
    };
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|_| fault("", "a query is name=value&name=value"))?;
    let mut parameters = Map::new();
    for (name, value) in pairs.into_inner() {
        // A number where a number is meant: texts are all that a query has.
        if parameters.insert(name.clone(), Value::String(value)).is_some() {
            return Err(fault(&name.chars().take(40).collect::<String>(), "named twice"));
        }
    }
    Ok(Value::Object(parameters))
}

/// Reads `limit` and `cursor`.
pub(super) fn page(form: &mut Form<'_>) -> PageOf {
    let limit = form.optional("limit", |value| {
        let text = value.as_str().unwrap_or_default();
        let number = text.parse().map_or(Value::Null, |number: i64| Value::Number(number.into()));
        let checked: Read<i64> = integer(1..=LIMIT_MAX)(&number);
        checked.map_err(|_| vec![FieldError::whole("out_of_range", "a whole number from 1 to 100")])
    });
    let cursor = form.optional("cursor", raw_text);
    PageOf { limit: limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(LIMIT), cursor }
}

/// Reads a day, `2026-01-31`.
pub(super) fn day(value: &Value) -> Read<Date> {
    let text = value.as_str().unwrap_or_default();
    let read = Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    // What is told of days reaches from the first ledger to the last year of four digits.
    let day = read.filter(|day| (1970..=9998).contains(&day.year()));
    day.ok_or_else(|| vec![FieldError::whole("invalid_format", "a day looks like 2026-01-31")])
}

/// Reads a filter by name.
pub(super) fn filter<T: DeserializeOwned>(form: &mut Form<'_>, field: &'static str) -> Option<T> {
    form.optional(field, name::<T>)
}
