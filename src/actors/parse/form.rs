//! A form: the fields of one JSON object, read one by one, with every fault kept until the end.
//!
//! `api` reads its bodies with it too. Each name asked for is known; what is left over at the end
//! is unknown, and refused like any other fault. `null` is as good as absent.

use std::fmt::Display;
use std::ops::RangeInclusive;

use ibora_domain::field::FieldError;
use ibora_domain::place::Coordinates;
use ibora_domain::units::UnixMillis;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// Faults told at once; whoever has more has another problem.
const FAULTS_MAX: usize = 20;
/// Characters shown of a name that a client made up.
const NAME_CHARS_MAX: usize = 40;

/// A value, or what is wrong with it, by names relative to it.
pub type Read<T> = Result<T, Vec<FieldError>>;

/// An object being read.
#[derive(Debug)]
pub struct Form<'v> {
    /// `None`: it has none.
    fields: Option<&'v Map<String, Value>>,
    /// The value is no object at all: that is fault enough.
    strange: bool,
    known: Vec<&'static str>,
    faults: Vec<FieldError>,
}

impl<'v> Form<'v> {
    /// Begins to read `value`. `null` has no fields.
    #[must_use]
    pub fn of(value: &'v Value) -> Self {
        let mut form = Self { fields: None, strange: false, known: Vec::new(), faults: Vec::new() };
        match value {
            Value::Object(fields) => form.fields = Some(fields).filter(|fields| !fields.is_empty()),
            Value::Null => {}
            _ => {
                form.strange = true;
                form.faults.extend(wrong_type("an object"));
            }
        }
        form
    }

    /// A field that may be left out.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Read<T>,
    ) -> Option<T> {
        // Where there is nothing, nothing is unknown.
        let fields = self.fields?;
        self.known.push(name);
        let value = fields.get(name).filter(|value| !value.is_null())?;
        read(value).map_err(|faults| self.faults.extend(within(faults, name))).ok()
    }

    /// A field that must be there.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Read<T>,
    ) -> Option<T> {
        let absent = self.fields.is_none_or(|fields| fields.get(name).is_none_or(Value::is_null));
        if absent && !self.strange {
            self.fault(FieldError::new(name, "required", "this field is missing"));
        }
        self.optional(name, read)
    }

    /// A field that is part of the contract, but of nothing that can be done yet.
    pub fn unsupported(&mut self, name: &'static str, detail: &'static str) {
        self.optional(name, |_| Err::<(), _>(vec![FieldError::whole("unsupported", detail)]));
    }

    /// Adds a fault that rests on more than one field.
    pub fn fault(&mut self, fault: FieldError) {
        self.faults.push(fault);
    }

    /// What was made of the fields, where nothing was wrong with any.
    ///
    /// # Errors
    /// Every fault, unknown fields included; at most twenty.
    pub fn close<T>(mut self, made: Option<T>) -> Read<T> {
        if let Some(fields) = self.fields {
            let unknown = fields.keys().filter(|name| !self.known.contains(&name.as_str()));
            self.faults.extend(unknown.take(FAULTS_MAX).map(|name| {
                FieldError::new(shown(name), "unknown_field", "there is no such field")
            }));
        }
        self.faults.truncate(FAULTS_MAX);
        match made {
            Some(made) if self.faults.is_empty() => Ok(made),
            _ => Err(self.faults),
        }
    }
}

/// A name that a client made up, fit to be shown.
pub(super) fn shown(name: &str) -> String {
    // Nearly all are: copied whole rather than sign by sign, for refusals must stay cheap.
    if name.len() <= NAME_CHARS_MAX && !name.chars().any(char::is_control) {
        return name.to_owned();
    }
    let mut shown = String::with_capacity(name.len().min(NAME_CHARS_MAX));
    shown.extend(name.chars().filter(|symbol| !symbol.is_control()).take(NAME_CHARS_MAX));
    shown
}

fn within(faults: Vec<FieldError>, name: &str) -> impl Iterator<Item = FieldError> {
    faults.into_iter().map(move |fault| fault.within(name))
}

fn wrong_type(expected: &str) -> Vec<FieldError> {
    vec![FieldError::whole("wrong_type", format!("this is {expected}"))]
}

fn out_of_range<T: Display>(what: &str, range: &RangeInclusive<T>) -> Vec<FieldError> {
    let detail = format!("{what} from {} to {}", range.start(), range.end());
    vec![FieldError::whole("out_of_range", detail)]
}

fn string<'v>(value: &'v Value, expected: &str) -> Read<&'v str> {
    value.as_str().ok_or_else(|| wrong_type(expected))
}

/// A text of so many characters, none of which controls anything.
pub fn text(chars: RangeInclusive<usize>) -> impl FnOnce(&Value) -> Read<String> {
    move |value| {
        let text = string(value, "a text")?;
        if text.chars().any(char::is_control) {
            let detail = "no control characters";
            return Err(vec![FieldError::whole("invalid_character", detail)]);
        }
        if !chars.contains(&text.chars().count()) {
            return Err(out_of_range("characters", &chars));
        }
        Ok(text.to_owned())
    }
}

/// A text whose rules are somebody else's, only bounded here.
pub fn raw_text(value: &Value) -> Read<String> {
    let text = string(value, "a text")?;
    if text.len() > 4096 {
        return Err(vec![FieldError::whole("out_of_range", "far too long")]);
    }
    Ok(text.to_owned())
}

/// Yes or no.
pub fn flag(value: &Value) -> Read<bool> {
    value.as_bool().ok_or_else(|| wrong_type("true or false"))
}

/// An identifier.
pub fn uuid(value: &Value) -> Read<Uuid> {
    let text = string(value, "a text")?;
    // Only the usual form, so that one thing has one name.
    let usual = text.len() == 36;
    usual
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
        .ok_or_else(|| vec![FieldError::whole("invalid_format", "an id is a UUID with dashes")])
}

/// One of the names that a type has.
pub fn name<T: DeserializeOwned>(value: &Value) -> Read<T> {
    string(value, "a text")?;
    T::deserialize(value)
        .map_err(|_| vec![FieldError::whole("unknown_value", "not one of the names known here")])
}

/// A number, whole or not.
pub fn number(range: RangeInclusive<f64>) -> impl FnOnce(&Value) -> Read<f64> {
    move |value| {
        let number = value.as_f64().ok_or_else(|| wrong_type("a number"))?;
        if range.contains(&number) { Ok(number) } else { Err(out_of_range("a number", &range)) }
    }
}

/// A whole number.
pub fn integer(range: RangeInclusive<i64>) -> impl FnOnce(&Value) -> Read<i64> {
    move |value| {
        if !value.is_number() {
            return Err(wrong_type("a whole number"));
        }
        let number = value.as_i64().filter(|number| range.contains(number));
        number.ok_or_else(|| out_of_range("a whole number", &range))
    }
}

/// A moment in RFC 3339.
pub fn moment(value: &Value) -> Read<UnixMillis> {
    let text = string(value, "a text")?;
    let parsed = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        let detail = "a time looks like 2026-01-31T12:00:00Z";
        vec![FieldError::whole("invalid_format", detail)]
    })?;
    let ms = i64::try_from(parsed.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
    Ok(UnixMillis(ms))
}

/// A place: `{"lat": .., "lng": ..}` and nothing else.
pub fn place(value: &Value) -> Read<Coordinates> {
    let mut form = Form::of(value);
    let lat = form.required("lat", number(-90.0..=90.0));
    let lng = form.required("lng", number(-180.0..=180.0));
    let place = lat.zip(lng).and_then(|(lat, lng)| Coordinates::new(lat, lng).ok());
    form.close(place)
}

/// A list of so many items.
pub fn list<T>(
    items: RangeInclusive<usize>,
    read: impl Fn(&Value) -> Read<T>,
) -> impl FnOnce(&Value) -> Read<Vec<T>> {
    move |value| {
        let values = value.as_array().ok_or_else(|| wrong_type("a list"))?;
        if !items.contains(&values.len()) {
            return Err(out_of_range("items", &items));
        }
        let mut list = Vec::with_capacity(values.len());
        let mut faults = Vec::new();
        for (at, value) in values.iter().enumerate() {
            match read(value) {
                Ok(item) => list.push(item),
                Err(wrong) => faults.extend(within(wrong, &at.to_string())),
            }
        }
        if faults.is_empty() { Ok(list) } else { Err(faults) }
    }
}
