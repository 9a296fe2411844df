//! The fields of one event or span, rendered once: names and JSON values with secrets hidden.
//!
//! Only `logs` uses it. Every value in here is valid JSON without line breaks, control characters
//! or text that turns a terminal around, so that a line is a line whatever a client sent.

use std::error::Error;
use std::fmt::{Debug, Write};
use std::ops::Range;

use tracing::field::{Field, Visit};

use super::redact::{HIDDEN, is_card, is_secret, mask_cards};

/// Name and rendered value of each field, in the order of recording.
#[derive(Default)]
pub(super) struct Fields {
    items: Vec<(&'static str, Range<usize>)>,
    values: String,
    scratch: String,
}

impl Fields {
    /// Forgets the fields, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.values.clear();
    }

    /// Bytes held, for those who keep buffers.
    pub(super) fn capacity(&self) -> usize {
        self.values.capacity() + self.scratch.capacity()
    }

    /// The JSON value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, range) = self.items.iter().find(|(known, _)| *known == name)?;
        Some(&self.values[range.clone()])
    }

    /// Names and JSON values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.items.iter().map(|(name, range)| (*name, &self.values[range.clone()]))
    }

    /// Names a value that was just rendered from `start` on. A name recorded again is replaced.
    fn push(&mut self, field: &Field, start: usize) {
        let name = field.name();
        let name = name.strip_prefix("r#").unwrap_or(name);
        let range = start..self.values.len();
        match self.items.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = range,
            None => self.items.push((name, range)),
        }
    }

    /// A value that needs no quotes, as it is.
    fn bare(&mut self, field: &Field, value: &dyn std::fmt::Display) {
        if is_secret(field.name()) {
            return self.text(field, HIDDEN);
        }
        let start = self.values.len();
        write!(self.values, "{value}").ok(); // Writing to a String cannot fail.
        self.push(field, start);
    }

    fn text(&mut self, field: &Field, text: &str) {
        let start = self.values.len();
        let text = if is_secret(field.name()) { HIDDEN } else { text };
        push_json_string(&mut self.values, &mask_cards(text));
        self.push(field, start);
    }

    /// Text that has to be rendered first, because a card number may span its pieces.
    fn rendered(&mut self, field: &Field, value: std::fmt::Arguments<'_>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        // A `Debug` or `Display` that fails leaves what it wrote; the line goes out anyway.
        scratch.write_fmt(value).ok();
        self.text(field, &scratch);
        self.scratch = scratch;
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field, &value);
        } else {
            self.rendered(field, format_args!("{value}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record_i128(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record_u128(field, value.into());
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        if is_card(value.unsigned_abs()) {
            self.rendered(field, format_args!("{value}"));
        } else {
            self.bare(field, &value);
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        if is_card(value) {
            self.rendered(field, format_args!("{value}"));
        } else {
            self.bare(field, &value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    /// The error and each of its causes, joined by `: `.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut chain = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            write!(chain, ": {error}").ok(); // Writing to a String cannot fail.
            cause = error.source();
        }
        self.text(field, &chain);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.rendered(field, format_args!("{value:?}"));
    }
}

/// Appends `text` as a JSON string of one line that a terminal shows as it is.
pub(super) fn push_json_string(line: &mut String, text: &str) {
    line.push('"');
    push_json_chars(line, text);
    line.push('"');
}

/// As [`push_json_string`], without the quotes.
pub(super) fn push_json_chars(line: &mut String, text: &str) {
    let mut plain_from = 0;
    for (at, char) in text.char_indices() {
        if !needs_escape(char) {
            continue;
        }
        line.push_str(&text[plain_from..at]);
        plain_from = at + char.len_utf8();
        match char {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            // All others that need it lie below 0x10000: one unit of UTF-16.
            _ => line.push_str(&format!("\\u{:04x}", u32::from(char))),
        }
    }
    line.push_str(&text[plain_from..]);
}

/// Quotes and controls, as JSON asks; C1 controls, line separators and marks of writing direction,
/// with which a log line could be made to look like another.
fn needs_escape(char: char) -> bool {
    match char {
        '"' | '\\' => true,
        ' '..='~' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{feff}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => char.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_one_line_of_json_and_reads_back_the_same() {
        let nasty = [
            "plain",
            "two\nlines\r\n\"quoted\" back\\slash\ttab",
            "\u{0}\u{7}\u{1b}[31mred\u{1b}[0m\u{7f}\u{9b}2J",
            "bidi \u{202e}gnp.exe\u{2066}\u{2029}\u{feff}",
            "São João 🚕 \u{10ffff}",
            "{\"level\":\"INFO\"}",
        ];
        for text in nasty {
            let mut json = String::new();
            push_json_string(&mut json, text);
            assert!(!json.chars().any(|c| c.is_control() || c == '\u{202e}' || c == '\u{2029}'));
            assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), text, "{json}");
        }
    }
}
