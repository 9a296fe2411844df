//! Where values come from, and how the texts of variables and of the command line become values.
//!
//! Only the door of `config` uses it. What must hold: a key that the defaults do not have is an
//! error wherever it was written, and a text takes the kind of its key's default, so that an
//! amount like `5.00` or a secret of digits in a variable is text, as it would be in a file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Metadata, Profile, Provider};

use super::error::{ConfigError, Problem, Why};

/// Variables that begin with this are keys.
const PREFIX: &str = "IBORA_";
/// The variable that names the file; it is no key.
const FILE_VARIABLE: &str = "IBORA_CONFIG";
/// Other variables that are no keys.
#[cfg(feature = "failpoints")]
const NO_KEYS: &[&str] = &[crate::obs::failpoints::VARIABLE];
#[cfg(not(feature = "failpoints"))]
const NO_KEYS: &[&str] = &[];

/// What is laid over the defaults. Later fields win.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Variables by their full name; those that do not begin with `IBORA_` are passed over.
    pub variables: Vec<(String, OsString)>,
    /// Dotted keys from the command line.
    pub overrides: Vec<(String, String)>,
}

impl Sources {
    /// The variables of this process, with a file and keys from its command line.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, overrides: Vec<(String, String)>) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        Self { file, variables, overrides }
    }

    /// The file that was named, by the command line or by `IBORA_CONFIG`.
    fn named_file(&self) -> Option<PathBuf> {
        let variable = self.variables.iter().find(|(name, _)| name == FILE_VARIABLE);
        let named = variable.map(|(_, value)| PathBuf::from(value));
        self.file.clone().or(named).filter(|path| !path.as_os_str().is_empty())
    }
}

/// The values of one source, with the name that problems tell.
pub(super) struct Given {
    name: String,
    pub(super) dict: Dict,
}

impl Provider for Given {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// The defaults themselves.
pub(super) fn defaults(text: &str) -> Result<Given, ConfigError> {
    parse("the defaults".to_owned(), text)
}

/// Everything laid over the defaults, the weakest first.
///
/// # Errors
/// [`ConfigError`]: an unreadable file, or all unknown keys and unreadable texts at once.
pub(super) fn given(sources: &Sources, defaults: &Dict) -> Result<Vec<Given>, ConfigError> {
    let mut problems = Vec::new();
    let mut given = Vec::new();
    if let Some(path) = sources.named_file() {
        let file = read(&path)?;
        unknown_keys(defaults, &file, &file.dict, "", &mut problems);
        given.push(file);
    }
    for (name, value) in &sources.variables {
        let is_key = name != FILE_VARIABLE && !NO_KEYS.contains(&name.as_str());
        let Some(key) = name.strip_prefix(PREFIX).filter(|_| is_key) else { continue };
        let key = key.to_ascii_lowercase().replace("__", ".");
        let text = value.to_str().ok_or_else(|| ConfigError::NotUnicode { name: name.clone() })?;
        collect(typed(defaults, &key, text, name), &mut given, &mut problems);
    }
    for (key, text) in &sources.overrides {
        collect(typed(defaults, key, text, "the command line"), &mut given, &mut problems);
    }
    if problems.is_empty() { Ok(given) } else { Err(ConfigError::Problems(problems)) }
}

fn collect(one: Result<Given, Problem>, given: &mut Vec<Given>, problems: &mut Vec<Problem>) {
    match one {
        Ok(one) => given.push(one),
        Err(problem) => problems.push(problem),
    }
}

fn read(path: &Path) -> Result<Given, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
    parse(path.display().to_string(), &text)
}

fn parse(name: String, text: &str) -> Result<Given, ConfigError> {
    match Toml::string(text).data() {
        Ok(mut profiles) => {
            Ok(Given { name, dict: profiles.remove(&Profile::Default).unwrap_or_default() })
        }
        Err(error) => {
            // First the place, last the reason; between them the line, which may hold a secret.
            let said = error.to_string();
            let mut lines = said.lines().filter(|line| !line.trim().is_empty());
            let place = lines.next().unwrap_or_default().to_owned();
            let reason = lines.rfind(|line| !line.contains('|')).unwrap_or("not TOML");
            let detail = reason.split(" in TOML").next().unwrap_or(reason).to_owned();
            Err(ConfigError::Syntax { origin: name, place, detail })
        }
    }
}

/// Tells every key of `dict` that the defaults do not have.
fn unknown_keys(
    known: &Dict,
    file: &Given,
    dict: &Dict,
    section: &str,
    problems: &mut Vec<Problem>,
) {
    for (name, value) in dict {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        let why = match (known.get(name), value) {
            (None, _) => Why::Unknown,
            (Some(Value::Dict(_, known)), Value::Dict(_, dict)) => {
                unknown_keys(known, file, dict, &key, problems);
                continue;
            }
            (Some(Value::Dict(..)), _) => Why::IsSection,
            (Some(_), _) => continue,
        };
        problems.push(Problem { key, why, origin: Some(file.name.clone()) });
    }
}

/// One key as text, read as its default is read.
fn typed(defaults: &Dict, key: &str, text: &str, origin: &str) -> Result<Given, Problem> {
    let problem = |why| Problem { key: key.to_owned(), why, origin: Some(origin.to_owned()) };
    let default = lookup(defaults, key).ok_or_else(|| problem(Why::Unknown))?;
    let value = like(default, text).map_err(problem)?;
    let nested = figment::util::nest(key, value);
    let Value::Dict(_, dict) = nested else {
        return Err(problem(Why::Unknown));
    };
    Ok(Given { name: origin.to_owned(), dict })
}

fn lookup<'a>(dict: &'a Dict, key: &str) -> Option<&'a Value> {
    let Some((section, rest)) = key.split_once('.') else {
        return dict.get(key);
    };
    match dict.get(section)? {
        Value::Dict(_, inner) => lookup(inner, rest),
        _ => None,
    }
}

/// `text` as a value of the same kind as `default`.
fn like(default: &Value, text: &str) -> Result<Value, Why> {
    let wanted = |expected: &str| Why::Shape { expected: expected.to_owned(), found: "text" };
    match default {
        Value::String(..) | Value::Char(..) => Ok(Value::from(text)),
        Value::Bool(..) => {
            let truth = text.trim().parse::<bool>();
            truth.map(Value::from).map_err(|_| wanted("true or false"))
        }
        Value::Num(..) => {
            let number = text.trim().parse::<i64>();
            number.map(Value::from).map_err(|_| wanted("a whole number"))
        }
        Value::Array(_, entries) => list(entries, text),
        Value::Dict(..) => Err(Why::IsSection),
        Value::Empty(..) => Err(Why::Unknown),
    }
}

/// A list written as `1,3,8` or `[1, 3, 8]`; its entries are of the kind of the default's first,
/// texts where the default has none. A list of tables is written as in a file: `[{ a = 1 }]`.
fn list(entries: &[Value], text: &str) -> Result<Value, Why> {
    let text = text.trim();
    if text.contains('{') {
        return tables(text);
    }
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let text_entry = Value::from("");
    let like_this = entries.first().unwrap_or(&text_entry);
    let parts = inner.split(',').map(|part| part.trim().trim_matches('"'));
    let values = parts.filter(|part| !part.is_empty()).map(|part| like(like_this, part));
    Ok(Value::Array(Tag::Default, values.collect::<Result<_, _>>()?))
}

fn tables(text: &str) -> Result<Value, Why> {
    let line = parse(String::new(), &format!("list = {text}")).ok();
    let list = line.and_then(|mut line| line.dict.remove("list"));
    list.filter(|list| matches!(list, Value::Array(..))).ok_or_else(|| Why::Shape {
        expected: "a list of tables, as in a file".to_owned(),
        found: "text",
    })
}
