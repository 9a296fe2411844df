//! The fast way to read a `tel` frame: one pass over the text, into a buffer that is used again.
//!
//! Positions are nearly all that drivers send. This reader takes what is usual and gives up on
//! everything else; [`frames`](super::frames) then reads it again, slowly, and says what is wrong.
//! So it must never take what the slow one refuses; a test holds one against the other.

use std::fmt;

use ibora_domain::place::{Coordinates, whole};
use ibora_domain::units::{Metres, UnixMillis};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::actors::Point;
use crate::actors::parse::POINTS_MAX;

/// How every `tel` frame of a usual client begins.
const BEGINNING: &str = r#"{"t":"tel","#;
/// The year 9999.
const UNIX_MS: std::ops::RangeInclusive<i64> = 0..=253_402_300_799_999;

/// Reads a usual `tel` frame: its number, and its positions into `points`, the newest last.
pub(super) fn read(text: &str, points: &mut Vec<Point>) -> Option<u64> {
    if !text.starts_with(BEGINNING) {
        return None;
    }
    points.clear();
    let mut reader = serde_json::Deserializer::from_str(text);
    let number = Frame(points).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    if !points.is_sorted_by_key(|point| point.at) {
        points.sort_by_key(|point| point.at);
    }
    Some(number)
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    T,
    N,
    Pts,
}

struct Frame<'p>(&'p mut Vec<Point>);

impl<'de> DeserializeSeed<'de> for Frame<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<u64, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Frame<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tel frame")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let (mut kind, mut number, mut read) = (false, None, false);
        while let Some(key) = map.next_key()? {
            match key {
                // Its value is known by how the text begins.
                Key::T if !kind => {
                    map.next_value::<&str>()?;
                    kind = true;
                }
                Key::N if number.is_none() => number = Some(map.next_value()?),
                Key::Pts if !read => {
                    map.next_value_seed(Points(self.0))?;
                    read = true;
                }
                Key::T | Key::N | Key::Pts => return Err(A::Error::custom("a key twice")),
            }
        }
        number.filter(|number| read && *number <= i64::MAX as u64).ok_or_else(refused)
    }
}

struct Points<'p>(&'p mut Vec<Point>);

impl<'de> DeserializeSeed<'de> for Points<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Points<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("positions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(Row(point)) = rows.next_element()? {
            self.0.push(point);
        }
        if (1..=POINTS_MAX).contains(&self.0.len()) { Ok(()) } else { Err(refused()) }
    }
}

struct Row(Point);

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_seq(Cells)
    }
}

struct Cells;

impl<'de> Visitor<'de> for Cells {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("3 to 6 numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<Row, A::Error> {
        let at = cells.next_element::<i64>()?.filter(|at| UNIX_MS.contains(at));
        let lat = cells.next_element::<f64>()?;
        let lng = cells.next_element::<f64>()?;
        let accuracy = cells.next_element::<f64>()?.unwrap_or(-1.0);
        let speed = cells.next_element::<f64>()?.unwrap_or(-1.0);
        let bearing = cells.next_element::<f64>()?.unwrap_or(-1.0);
        // A comparison with NaN is false. -1 is a phone's word for "unknown".
        let plausible = (-1.0..=1_000_000.0).contains(&accuracy)
            && (-1.0..=1000.0).contains(&speed)
            && (-1.0..=360.0).contains(&bearing);
        let place = lat.zip(lng).and_then(|(lat, lng)| Coordinates::new(lat, lng).ok());
        let accuracy = if accuracy < 0.0 { Metres(u32::MAX) } else { Metres(whole(accuracy)) };
        match (at, place) {
            (Some(at), Some(place)) if plausible => {
                Ok(Row(Point { at: UnixMillis(at), place, accuracy }))
            }
            _ => Err(refused()),
        }
    }
}

/// No words: whoever gets it reads the frame again, slowly.
fn refused<E: Error>() -> E {
    E::custom("")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::actors::parse;

    fn fast(frame: &Value) -> Option<Vec<(i64, f64, f64, u32)>> {
        // The order of keys that clients use; `json!` would sort them.
        let text = format!(r#"{{"t":"tel","n":{},"pts":{}}}"#, frame["n"], frame["pts"]);
        let mut points = Vec::new();
        read(&text, &mut points).map(|_| cells(&points))
    }

    fn cells(points: &[Point]) -> Vec<(i64, f64, f64, u32)> {
        let cell = |p: &Point| (p.at.0, p.place.lat(), p.place.lng(), p.accuracy.0);
        points.iter().map(cell).collect()
    }

    #[test]
    fn fast_and_slow_read_the_same() {
        let now = 1_795_310_763_000_i64;
        let far: Vec<_> = (0..=POINTS_MAX).map(|_| json!([now, 1, 2])).collect();
        let all = [
            json!([[now, -23.55, -46.63, 5, 11.5, 270]]),
            json!([[now, -23.55, -46.63]]),
            json!([[now + 2, -23.5, -46.6, 5, 0, 0], [now, -23.55, -46.63, -1, -1, -1]]),
            json!([[now, -90, 180, 1_000_000, 1000, 360]]),
            json!([]),
            json!([[]]),
            json!([[now, 1]]),
            json!([[now, 1, 2, 3, 4, 5, 6]]),
            json!([[now, 90.1, 2]]),
            json!([[now, 1, -180.5]]),
            json!([[now, 1, 2, -2]]),
            json!([[now, 1, 2, 3, 1001]]),
            json!([[now, 1, 2, 3, 4, 361]]),
            json!([[-1, 1, 2]]),
            json!([[253_402_300_800_000_i64, 1, 2]]),
            json!([[1.5, 1, 2]]),
            json!([["1", 1, 2]]),
            json!([{"at": now}]),
            json!({"a": 1}),
            json!(null),
            Value::Array(far),
        ];
        for pts in all {
            let slow = parse::rows(&pts).ok().map(|points| cells(&points));
            assert_eq!(fast(&json!({"n": 7, "pts": pts})), slow, "{pts}");
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_the_slow_reader() {
        let frames = [
            r#"{"t":"tel","n":1}"#,
            r#"{"t":"tel","pts":[[1,2,3]]}"#,
            r#"{"t":"tel","n":-1,"pts":[[1,2,3]]}"#,
            r#"{"t":"tel","n":9223372036854775808,"pts":[[1,2,3]]}"#,
            r#"{"t":"tel","n":1.5,"pts":[[1,2,3]]}"#,
            r#"{"t":"tel","n":1,"n":2,"pts":[[1,2,3]]}"#,
            r#"{"t":"tel","n":1,"pts":[[1,2,3]],"x":1}"#,
            r#"{"t":"tel","n":1,"pts":[[1,2,3]]}x"#,
            r#"{"t":"tel","t":"cmd","n":1,"pts":[[1,2,3]]}"#,
            r#"{"n":1,"pts":[[1,2,3]],"t":"tel"}"#,
            r#"{"t":"tel","n":1,"pts":[[1,2,3,null]]}"#,
        ];
        for frame in frames {
            assert_eq!(read(frame, &mut Vec::new()), None, "{frame}");
        }
        let mut points = Vec::new();
        assert_eq!(read(r#"{"t":"tel","pts":[[1,2,3]],"n":5}"#, &mut points), Some(5));
        assert_eq!(points.len(), 1);
    }
}
