//! The configuration in force as TOML, secrets hidden: what `ibora config print` shows.

use std::fmt::Write;

use figment::value::{Dict, Num, Value};

/// Keys whose value is never shown. A new secret key belongs here.
pub(super) const SECRET_KEYS: &[&str] = &[
    "auth.signing_key",
    "database.url",
    "database.migrate_url",
    "pix.client_id",
    "pix.client_secret",
    "pix.certificate_password",
    "pix.key",
    "pix.owner_document",
    "pix.owner_key",
    "pix.webhook_secret",
    "pix.webhook_secret_old",
];

/// Every key with its value in force; a secret that is set is `"***"`.
pub(super) fn redacted(dict: &Dict) -> String {
    let mut text = String::new();
    push_section(&mut text, "", dict);
    text
}

/// The values of a section, then the sections in it: TOML has no way back out of a section.
fn push_section(text: &mut String, section: &str, dict: &Dict) {
    let path = |name: &str| match section {
        "" => name.to_owned(),
        section => format!("{section}.{name}"),
    };
    let (inner, values): (Vec<_>, Vec<_>) =
        dict.iter().partition(|(_, value)| matches!(value, Value::Dict(..)));
    if !section.is_empty() && !values.is_empty() {
        // Writing to a String cannot fail, here and below.
        writeln!(text, "\n[{section}]").ok();
    }
    for (name, value) in values {
        let secret = SECRET_KEYS.contains(&path(name).as_str()) && value.as_str() != Some("");
        let shown = if secret { "\"***\"".to_owned() } else { toml(value) };
        writeln!(text, "{name} = {shown}").ok();
    }
    for (name, value) in inner {
        if let Value::Dict(_, inner) = value {
            push_section(text, &path(name), inner);
        }
    }
}

fn toml(value: &Value) -> String {
    match value {
        Value::String(_, text) => serde_json::Value::from(text.as_str()).to_string(),
        Value::Char(_, char) => serde_json::Value::from(char.to_string()).to_string(),
        Value::Bool(_, truth) => truth.to_string(),
        Value::Num(_, number) => number_text(*number),
        Value::Array(_, entries) => {
            let entries: Vec<_> = entries.iter().map(toml).collect();
            format!("[{}]", entries.join(", "))
        }
        Value::Dict(_, entries) => {
            let entries = entries.iter().map(|(name, value)| format!("{name} = {}", toml(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Empty(..) => "\"\"".to_owned(),
    }
}

fn number_text(number: Num) -> String {
    match (number.to_i128(), number.to_u128(), number.to_f64()) {
        (Some(whole), _, _) => whole.to_string(),
        (None, Some(whole), _) => whole.to_string(),
        (None, None, float) => float.unwrap_or_default().to_string(),
    }
}
