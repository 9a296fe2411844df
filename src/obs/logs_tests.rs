//! What a log line must be, seen from its reader.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tracing::{debug, error, info, info_span};

use super::*;

/// Lines written so far, one write an entry.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<String>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().push(String::from_utf8(bytes.to_vec()).expect("lines are UTF-8"));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(format: LogFormat, level: &str, work: impl FnOnce()) -> Vec<String> {
    let sink = Sink::default();
    let options = LogOptions {
        level: level.to_owned(),
        format,
        output: LogOutput::Stderr,
        service: "ibora \"test\"".to_owned(),
        environment: "test".to_owned(),
    };
    let writer = sink.clone();
    let subscriber = tracing_subscriber::registry()
        .with(level_filter(level).expect("a level"))
        .with(Lines::new(&options, move || writer.clone()));
    tracing::subscriber::with_default(subscriber, work);
    std::mem::take(&mut *sink.0.lock())
}

fn json(work: impl FnOnce()) -> Vec<Value> {
    let lines = written(LogFormat::Json, "trace", work);
    for line in &lines {
        assert_eq!(line.matches('\n').count(), 1, "one write is one line: {line}");
        assert!(line.ends_with("}\n"), "{line}");
    }
    lines.iter().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[test]
fn a_line_has_its_keys_in_order_and_says_who_wrote_it() {
    let lines = written(LogFormat::Json, "info", || {
        let request = info_span!("request", request_id = "req-1");
        request.in_scope(|| info!(ride.id = 7, "driver assigned"));
    });
    let line = &lines[0];
    let mut from = 0;
    for key in FIXED_KEYS.iter().chain(&["ride.id"]) {
        let at = line.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("no {key}: {line}"));
        assert!(at > from, "{key} stands too early: {line}");
        from = at;
    }
    let value: Value = serde_json::from_str(line).expect("a line is JSON");
    assert_eq!(value["level"], "INFO");
    assert_eq!(value["logger"], module_path!());
    assert_eq!(value["message"], "driver assigned");
    assert_eq!(value["request_id"], "req-1");
    assert_eq!(value["service"], "ibora \"test\"");
    assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(value["pid"], std::process::id());
    assert_eq!(value["ride.id"], 7);
    let time = value["timestamp"].as_str().expect("text");
    assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
}

#[test]
fn fields_of_spans_merge_and_the_nearest_wins() {
    let lines = json(|| {
        let outer = info_span!("outer", request_id = "outer", shard = 1, op = "accept");
        let _outer = outer.enter();
        let inner =
            info_span!("inner", shard = 2, won = tracing::field::Empty, late = "recorded later");
        inner.record("won", true);
        inner.record("late", "now");
        let _inner = inner.enter();
        info!(op = "cancel", "inside");
        error!(parent: None, "outside");
    });
    assert_eq!(lines[0]["request_id"], "outer");
    assert_eq!(lines[0]["shard"], 2);
    assert_eq!(lines[0]["op"], "cancel");
    assert_eq!(lines[0]["won"], true);
    assert_eq!(lines[0]["late"], "now");
    assert_eq!(lines[1]["request_id"], Value::Null);
    assert_eq!(lines[1].get("shard"), None);
}

#[test]
fn no_key_stands_twice_and_none_passes_for_a_fixed_one() {
    let lines = written(LogFormat::Json, "info", || {
        let span = info_span!("span", level = "FAKE", ride.id = 1);
        span.in_scope(|| info!(version = 12, pid = "none", ride.id = 2, "x"));
    });
    let line = &lines[0];
    for key in ["level", "version", "pid", "ride.id", "message"] {
        assert_eq!(line.matches(&format!("\"{key}\":")).count(), 1, "{key} in {line}");
    }
    let value: Value = serde_json::from_str(line).expect("a line is JSON");
    assert_eq!(value["field.version"], 12);
    assert_eq!(value["field.level"], "FAKE");
    assert_eq!(value["pid"], std::process::id());
}

#[test]
fn secrets_and_cards_never_reach_a_line() {
    let canary = "canary-7f3a";
    let work = || {
        let span = info_span!("login", email = canary, user.cpf = %canary, token = ?canary);
        let _span = span.enter();
        info!(password = canary, refresh_token = canary, req.headers.authorization = canary, "a");
        info!(phone = 5_511_987_654_321_u64, pin = true, cvv = 123.5, pix_key = ?Some(canary), "b");
        info!(note = "card 4111111111111234", card = 4_111_111_111_111_234_u64, "5500000000005678");
    };
    for format in [LogFormat::Json, LogFormat::Pretty] {
        let text = written(format, "trace", work).concat();
        for hidden in [canary, "987654321", "4111111111111234", "5500000000005678", "123.5"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
        assert!(text.contains("card ****1234") && text.contains("****5678"), "{text}");
    }
    let lines = json(work);
    assert_eq!(lines[0]["password"], "***");
    assert_eq!(lines[0]["user.cpf"], "***");
    assert_eq!(lines[1]["pin"], "***");
    assert_eq!(lines[2]["card"], "****1234");
}

#[test]
fn what_a_client_sends_cannot_forge_a_line() {
    let forged = "x\"}\n{\"level\":\"ERROR\",\"message\":\"forged\u{1b}[2K\u{202e}\"}";
    let lines = json(|| info!(reason = forged, debugged = ?forged, "{forged}"));
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["reason"], forged);
    assert_eq!(lines[0]["message"], forged);
    let pretty = written(LogFormat::Pretty, "info", || {
        info!(reason = forged, "{forged}");
    });
    assert_eq!(pretty.concat().matches('\n').count(), 1);
    assert!(!pretty.concat().contains(['\u{1b}', '\u{202e}']));
}

#[test]
fn every_kind_of_value_is_json() {
    let lines = json(|| {
        let cause = io::Error::new(io::ErrorKind::NotFound, LogError::AlreadyBegun);
        let error: &(dyn std::error::Error + 'static) = &cause;
        info!(
            a = -1_i64,
            b = u64::MAX,
            c = 0.5,
            d = f64::NAN,
            e = %'é',
            error,
            r#type = 1,
            "all"
        );
    });
    assert_eq!(lines[0]["a"], -1);
    assert_eq!(lines[0]["b"], u64::MAX);
    assert_eq!(lines[0]["c"], 0.5);
    assert_eq!(lines[0]["d"], "NaN");
    assert_eq!(lines[0]["type"], 1);
    assert_eq!(lines[0]["error"], "logging was begun before in this process");
}

#[test]
fn an_error_tells_its_causes() {
    #[derive(Debug, Error)]
    #[error("commit failed")]
    struct Commit(#[source] LogError);
    let lines = json(|| {
        let failed = Commit(LogError::AlreadyBegun);
        error!(error = &failed as &(dyn std::error::Error + 'static), "no record");
    });
    assert_eq!(lines[0]["error"], "commit failed: logging was begun before in this process");
}

#[test]
fn a_value_that_logs_while_it_is_shown_disturbs_nobody() {
    struct Chatty;
    impl std::fmt::Debug for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            info!(inner = 1, "inner");
            f.write_str("chatty")
        }
    }
    let lines = json(|| info!(value = ?Chatty, "outer"));
    let outer = lines.last().expect("the outer line");
    assert_eq!(outer["value"], "chatty");
    assert_eq!(outer["message"], "outer");
    assert_eq!(outer.get("inner"), None);
}

#[test]
fn a_level_with_exceptions_lets_through_what_it_says() {
    let lines = written(LogFormat::Pretty, "warn,ibora::journal=debug", || {
        info!("quiet");
        debug!(target: "ibora::journal::writer", batch = 3, "committed");
        tracing::warn!("loud");
    });
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with(" DEBUG ibora::journal::writer  committed batch=3\n"), "{lines:?}");
    assert_eq!(&lines[0][2..3], ":");
}

#[test]
fn a_mistyped_level_is_refused_by_name() {
    for (text, part) in [("inof", "inof"), ("", ""), ("info,debug", "debug"), ("info,a=x", "x")] {
        let refused = level_filter(text).expect_err(text);
        assert_eq!(refused, LogError::Level { part: part.to_owned() });
    }
}
