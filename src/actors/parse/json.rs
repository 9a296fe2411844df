//! JSON from outside, read strictly: bytes to a value, or a refusal. Used by `parse` alone.
//!
//! The usual reader keeps the last of two equal keys, so that two readers of one text may disagree
//! about what it says, and it takes any depth its stack holds. Both are refused here.

use std::cell::RefCell;
use std::fmt;

use ibora_domain::field::FieldError;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Map, Number, Value};

use super::DEPTH_MAX;

/// Why bytes are no JSON that is read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonFault {
    /// No JSON, no UTF-8, a key twice, nested too deeply.
    Malformed,
    /// JSON, but with a number that no field holds.
    Invalid(Vec<FieldError>),
}

/// Reads the one value that `bytes` hold.
///
/// # Errors
/// [`JsonFault`].
pub fn json(bytes: &[u8]) -> Result<Value, JsonFault> {
    let error = match read(bytes, None) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    // `1e999` is JSON, only no number; the library says so in words alone. Rare: read again to
    // find out where it stands.
    if !error.to_string().starts_with("number out of range") {
        return Err(JsonFault::Malformed);
    }
    let path = RefCell::default();
    drop(read(bytes, Some(&path)));
    let fault = FieldError::new(path.take().join("."), "out_of_range", "no such number");
    Err(JsonFault::Invalid(vec![fault]))
}

fn read(bytes: &[u8], path: Option<&RefCell<Vec<String>>>) -> serde_json::Result<Value> {
    let mut reader = Deserializer::from_slice(bytes);
    let value = Strict { depth: 0, path }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a value at a depth, and says into `path` where it is.
#[derive(Clone, Copy)]
struct Strict<'p> {
    depth: usize,
    path: Option<&'p RefCell<Vec<String>>>,
}

impl Strict<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn enter(self, name: impl FnOnce() -> String) {
        if let Some(path) = self.path {
            path.borrow_mut().push(name());
        }
    }

    /// Called where a value was read well, so that after a fault the path leads to it.
    fn leave(self) {
        if let Some(path) = self.path {
            path.borrow_mut().pop();
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        loop {
            inner.enter(|| list.len().to_string());
            let item = items.next_element_seed(inner)?;
            inner.leave();
            match item {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            inner.enter(|| super::form::shown(&key));
            let value = entries.next_value_seed(inner)?;
            inner.leave();
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("a key twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_says_is_read_as_it_is() {
        for text in [
            r#"{"a":[1,-2,3.5,"é\n",true,null],"b":{"c":{}}}"#,
            "18446744073709551615",
            "  [ ]\n",
            r#""\ud83d\ude00""#,
        ] {
            let value = json(text.as_bytes()).expect(text);
            assert_eq!(value, serde_json::from_str::<Value>(text).expect(text));
        }
    }

    #[test]
    fn what_is_no_plain_json_is_malformed() {
        let deep = "[".repeat(100_000);
        let closed = format!("{}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
        let texts = [
            "",
            "{",
            "{}x",
            "{} {}",
            "nul",
            "NaN",
            "{\"a\":NaN}",
            "Infinity",
            "{'a':1}",
            "{a:1}",
            "\u{feff}{}",
            r#"{"a":1,"a":1}"#,
            r#"{"b":{"a":1,"\u0061":2}}"#,
            "[1,]",
            "01",
            "// a\n1",
            r#""\ud800""#,
            "\"\n\"",
            "\"\u{0}\"",
            &deep,
            &closed,
        ];
        for text in texts {
            assert_eq!(json(text.as_bytes()), Err(JsonFault::Malformed), "{text:.40}");
        }
        assert_eq!(json(b"\"\xff\xfe\""), Err(JsonFault::Malformed));
        assert_eq!(json(b"\"\xed\xa0\x80\""), Err(JsonFault::Malformed), "a surrogate in UTF-8");
        let fits = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert!(json(fits.as_bytes()).is_ok());
    }

    #[test]
    fn a_number_beyond_numbers_is_a_field_out_of_range() {
        let field = |text: &str| match json(text.as_bytes()) {
            Err(JsonFault::Invalid(faults)) => faults[0].field.to_string(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(field(r#"{"a":1,"pickup":{"lat":1e999}}"#), "pickup.lat");
        assert_eq!(field(r#"{"stops":[{"lng":1},{"lng":-1e999}]}"#), "stops.1.lng");
        assert_eq!(field("1e999"), "");
    }
}
