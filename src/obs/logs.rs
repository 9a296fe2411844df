//! Logs: one JSON object a line with a fixed order of keys, or short lines for people.
//!
//! The binary calls [`init`] once; every room then logs with the macros of `tracing`. Spans lend
//! their fields to the events in them: the one that carries `request_id` names the request. What
//! must hold: a line is one write of one line, secrets are hidden ([`super::redact`]), no key
//! stands twice, and no field can pass itself off as one of the fixed keys.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use ibora_domain::units::UnixMillis;
use serde::Deserialize;
use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::fields::{Fields, push_json_chars, push_json_string};

/// Keys of every line. A field of such a name is shown as `field.<name>`.
const FIXED_KEYS: &[&str] = &[
    "timestamp",
    "level",
    "logger",
    "message",
    "request_id",
    "service",
    "environment",
    "version",
    "hostname",
    "pid",
];

/// Above this a buffer is given back, so that one huge line does not stay in memory.
const BUFFER_KEPT_BYTES: usize = 64 * 1024;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For machines: one JSON object.
    Json,
    /// For people: time, level, logger, message, fields.
    Pretty,
}

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogOutput {
    Stderr,
    Stdout,
}

/// What [`init`] needs to know.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// A level, then exceptions by target: `info,ibora::journal=debug`.
    pub level: String,
    pub format: LogFormat,
    pub output: LogOutput,
    pub service: String,
    pub environment: String,
}

/// Why logging could not begin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LogError {
    #[error("{part:?} is no level: write one like `info` or `info,ibora::journal=debug`")]
    Level { part: String },
    #[error("logging was begun before in this process")]
    AlreadyBegun,
}

/// Begins logging for the whole process, panics included.
///
/// # Errors
/// [`LogError`]: a level that is none, or a second call.
pub fn init(options: &LogOptions) -> Result<(), LogError> {
    let filter = level_filter(&options.level)?;
    let writer = match options.output {
        LogOutput::Stderr => BoxMakeWriter::new(std::io::stderr),
        LogOutput::Stdout => BoxMakeWriter::new(std::io::stdout),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(Lines::new(options, writer))
        .try_init()
        .map_err(|_| LogError::AlreadyBegun)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Reads a level with exceptions by target.
///
/// # Errors
/// [`LogError::Level`]: the first part that says nothing. A mistyped level must not pass for the
/// name of a target and switch everything else off.
pub(crate) fn level_filter(text: &str) -> Result<Targets, LogError> {
    let refused = |part: &str| LogError::Level { part: part.trim().to_owned() };
    let level = |part: &str| match part.trim() {
        "" => Err(refused(part)), // The library takes it for `error`.
        named => named.parse::<LevelFilter>().map_err(|_| refused(part)),
    };
    let mut parts = text.split(',');
    let mut targets = Targets::new().with_default(level(parts.next().unwrap_or_default())?);
    for part in parts {
        let error = || LogError::Level { part: part.trim().to_owned() };
        let (target, exception) = part.split_once('=').ok_or_else(error)?;
        targets = targets.with_target(target.trim(), level(exception)?);
    }
    Ok(targets)
}

/// Writes a panic as a line like any other, with its stack when `RUST_BACKTRACE` asks for it.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let said = panic.payload_as_str().unwrap_or("(no text)");
    let location = panic.location().map(tracing::field::display);
    let thread = std::thread::current();
    let stack = Backtrace::capture();
    let exception = match stack.status() {
        BacktraceStatus::Captured => Some(tracing::field::display(&stack)),
        _ => None,
    };
    tracing::error!(location, thread = thread.name(), exception, "panic: {said}");
}

/// Renders events as lines. `tracing`'s own JSON layer can neither order keys nor merge fields.
struct Lines<W> {
    format: LogFormat,
    /// The keys that are the same on every line, rendered, with their leading comma.
    constant: String,
    writer: W,
}

/// What a thread reuses from line to line.
#[derive(Default)]
struct Buffers {
    line: String,
    fields: Fields,
    seen: Vec<&'static str>,
}

thread_local! {
    /// Taken while in use: a field whose `Debug` logs on its own gets fresh buffers.
    static BUFFERS: Cell<Option<Box<Buffers>>> = const { Cell::new(None) };
}

impl<W> Lines<W> {
    fn new(options: &LogOptions, writer: W) -> Self {
        let mut constant = String::new();
        let hostname = hostname();
        let pairs = [
            ("service", options.service.as_str()),
            ("environment", &options.environment),
            ("version", env!("CARGO_PKG_VERSION")),
            ("hostname", &hostname),
        ];
        for (key, value) in pairs {
            push_key(&mut constant, key);
            push_json_string(&mut constant, value);
        }
        push_key(&mut constant, "pid");
        constant.push_str(&std::process::id().to_string());
        Self { format: options.format, constant, writer }
    }

    fn json<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>, buffers: &mut Buffers)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Buffers { line, fields, seen } = buffers;
        let metadata = event.metadata();
        let now = now();
        write!(line, "{{\"timestamp\":\"{now}\",\"level\":\"{}\"", metadata.level()).ok();
        push_key(line, "logger");
        push_json_string(line, metadata.target());
        push_key(line, "message");
        line.push_str(fields.get("message").unwrap_or("\"\""));
        push_key(line, "request_id");
        push_request_id(line, event, ctx, fields);
        line.push_str(&self.constant);
        for_each_field(event, ctx, fields, |name, value| {
            if !seen.contains(&name) {
                seen.push(name);
                line.push_str(",\"");
                line.push_str(if FIXED_KEYS.contains(&name) { "field." } else { "" });
                push_json_chars(line, name);
                line.push_str("\":");
                line.push_str(value);
            }
        });
        line.push_str("}\n");
    }

    fn pretty<S>(event: &Event<'_>, ctx: &Context<'_, S>, buffers: &mut Buffers)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Buffers { line, fields, seen } = buffers;
        let metadata: &Metadata<'_> = event.metadata();
        let now = now().to_string();
        let time = now.get(11..23).unwrap_or(&now);
        write!(line, "{time} {:5} {}", metadata.level(), metadata.target()).ok();
        let message = fields.get("message").unwrap_or_default();
        let unquoted = message.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        write!(line, "  {}", unquoted.unwrap_or(message)).ok();
        for_each_field(event, ctx, fields, |name, value| {
            if !seen.contains(&name) {
                seen.push(name);
                write!(line, " {name}={value}").ok();
            }
        });
        line.push('\n');
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().replace(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut buffers = BUFFERS.try_with(Cell::take).ok().flatten().unwrap_or_default();
        buffers.line.clear();
        buffers.fields.clear();
        buffers.seen.clear();
        event.record(&mut buffers.fields);
        match self.format {
            LogFormat::Json => self.json(event, &ctx, &mut buffers),
            LogFormat::Pretty => Self::pretty(event, &ctx, &mut buffers),
        }
        // Nobody is left to tell when the log itself cannot be written; the work goes on.
        self.writer.make_writer_for(event.metadata()).write_all(buffers.line.as_bytes()).ok();
        if buffers.line.capacity() + buffers.fields.capacity() <= BUFFER_KEPT_BYTES {
            BUFFERS.try_with(|kept| kept.set(Some(buffers))).ok();
        }
    }
}

/// The request's id of the event itself, else of the nearest span around it, else `null`.
fn push_request_id<S>(line: &mut String, event: &Event<'_>, ctx: &Context<'_, S>, own: &Fields)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if let Some(id) = own.get("request_id") {
        return line.push_str(id);
    }
    for span in ctx.event_scope(event).into_iter().flatten() {
        let extensions = span.extensions();
        if let Some(id) = extensions.get::<Fields>().and_then(|fields| fields.get("request_id")) {
            return line.push_str(id);
        }
    }
    line.push_str("null");
}

/// The fields that have no place of their own: the event's, then those of the spans around it,
/// the nearest first. The caller keeps the first of each name.
fn for_each_field<S>(
    event: &Event<'_>,
    ctx: &Context<'_, S>,
    own: &Fields,
    mut each: impl FnMut(&'static str, &str),
) where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let placed = |name: &str| matches!(name, "message" | "request_id");
    own.iter().filter(|(name, _)| !placed(name)).for_each(|(name, value)| each(name, value));
    for span in ctx.event_scope(event).into_iter().flatten() {
        if let Some(fields) = span.extensions().get::<Fields>() {
            let others = fields.iter().filter(|(name, _)| !placed(name));
            others.for_each(|(name, value)| each(name, value));
        }
    }
}

fn push_key(line: &mut String, key: &str) {
    line.push_str(",\"");
    line.push_str(key);
    line.push_str("\":");
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The name of this machine. The standard library has no call for it.
fn hostname() -> String {
    let known = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    let name = known.trim();
    if name.is_empty() { "unknown".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
