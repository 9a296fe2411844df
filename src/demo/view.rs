//! The demo in the terminal: a block that is drawn over itself, or a line now and then where
//! nobody watches.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use ibora_domain::money::Centavos;

use super::numbers::Numbers;

/// Between two drawings, and between two lines.
const DRAW_EVERY: Duration = Duration::from_millis(500);
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Cells of a bar.
const BAR: usize = 34;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";
const BLUE: &str = "\x1b[34m";
const RED: &str = "\x1b[31m";
const OFF: &str = "\x1b[0m";

/// What is on the terminal now.
pub(super) struct View {
    terminal: bool,
    lines: usize,
}

impl View {
    pub(super) fn new() -> Self {
        Self { terminal: io::stdout().is_terminal(), lines: 0 }
    }

    /// Until the next showing.
    pub(super) fn pause(&self) -> Duration {
        if self.terminal { DRAW_EVERY } else { LINE_EVERY }
    }

    /// Says what is being done before there is anything to show.
    pub(super) fn progress(&mut self, doing: &str) {
        let line =
            if self.terminal { format!("{DIM}  {doing} ...{OFF}") } else { doing.to_owned() };
        // A terminal that is gone is noticed by the next drawing.
        drop(writeln!(io::stdout(), "{line}"));
    }

    pub(super) fn show(&mut self, numbers: &Numbers, url: &str) -> io::Result<()> {
        let text = if self.terminal { block(numbers, url) } else { line(numbers) };
        let mut out = io::stdout().lock();
        if self.lines > 0 {
            write!(out, "\x1b[{}A\x1b[J", self.lines)?;
        }
        out.write_all(text.as_bytes())?;
        out.flush()?;
        self.lines = if self.terminal { text.lines().count() } else { 0 };
        Ok(())
    }

    /// The last word.
    pub(super) fn end(&mut self, numbers: &Numbers) -> io::Result<()> {
        self.lines = 0;
        let mut out = io::stdout().lock();
        writeln!(out, "{}", line(numbers).trim_end())?;
        writeln!(out, "stopping the engine and its database")
    }
}

fn line(n: &Numbers) -> String {
    format!(
        "{} s: {} sockets, {} searching, {} active, {} completed, {} canceled, {} without driver; \
         {} paid out in {} payouts; wait p50 {} p90 {}; accept p50 {} p99 {}; \
         commit {} of {} decisions\n",
        n.uptime_s,
        n.sockets,
        n.searching,
        n.active,
        n.completed,
        n.canceled,
        n.no_driver,
        reais(n.paid_out_centavos),
        n.payouts,
        seconds(n.wait_p50_s),
        seconds(n.wait_p90_s),
        ms(n.accept_p50_ms),
        ms(n.accept_p99_ms),
        ms(n.commit_ms),
        n.batch.map_or_else(|| "-".to_owned(), |batch| format!("{batch:.1}")),
    )
}

fn block(n: &Numbers, url: &str) -> String {
    let busy = n.drivers.saturating_sub(n.idle);
    let mut text = String::new();
    let mut put = |line: String| writeln!(text, "{line}").ok();
    put(String::new());
    put(format!(
        "  {BOLD}{GREEN}ibora demo{OFF}   {BOLD}{CYAN}{url}{OFF}   \
         {DIM}{} at {}x, Ctrl-C ends{OFF}",
        clock(n.uptime_s),
        n.speed
    ));
    put(String::new());
    put(format!("  drivers  {} {busy} of {} with work", bar(busy, n.drivers, BLUE), n.drivers));
    put(format!(
        "  rides    {} {} searching, {} active",
        bar(n.active, (n.active + n.searching).max(1), GREEN),
        n.searching,
        n.active
    ));
    put(String::new());
    put(format!(
        "  {BOLD}{:>7}{OFF} requested  {BOLD}{GREEN}{:>7}{OFF} completed  \
         {BOLD}{:>5}{OFF} canceled  {BOLD}{:>5}{OFF} without driver",
        n.requested, n.completed, n.canceled, n.no_driver
    ));
    put(format!(
        "  {BOLD}{:>7}{OFF} offers     {BOLD}{:>7}{OFF} won        {BOLD}{:>5}{OFF} lost in a race",
        n.offers, n.won, n.lost
    ));
    put(format!(
        "  {BOLD}{:>7}{OFF} payouts    {BOLD}{:>7}{OFF} paid out to drivers",
        n.payouts,
        reais(n.paid_out_centavos)
    ));
    put(String::new());
    put(row("wait for a driver", &seconds(n.wait_p50_s), &seconds(n.wait_p90_s), "p90, city time"));
    put(row("accept answered", &ms(n.accept_p50_ms), &ms(n.accept_p99_ms), "p99, real time"));
    put(row("request answered", &ms(n.request_p50_ms), &ms(n.request_p99_ms), "p99, real time"));
    put(format!(
        "  {:<20}{BOLD}{:>9}{OFF}  {DIM}for{OFF} {:>5} \
         {DIM}decisions a commit, {:.0} commits/s{OFF}",
        "journal commit",
        ms(n.commit_ms),
        n.batch.map_or_else(|| "-".to_owned(), |batch| format!("{batch:.1}")),
        n.commits_per_s
    ));
    put(format!(
        "  {:<20}{BOLD}{:>9}{OFF}  {DIM}sockets, {:.0} frames/s{OFF}",
        "contract", n.sockets, n.frames_per_s
    ));
    if n.unanswered + n.odd_refusals > 0 {
        put(format!(
            "  {RED}{} commands unanswered, {} refused without reason{OFF}",
            n.unanswered, n.odd_refusals
        ));
    }
    put(String::new());
    text
}

fn reais(centavos: u64) -> String {
    format!("R$ {}", Centavos(i64::try_from(centavos).unwrap_or(i64::MAX)))
}

fn row(name: &str, median: &str, high: &str, what: &str) -> String {
    format!(
        "  {name:<20}{BOLD}{median:>9}{OFF}  {DIM}p50{OFF} {YELLOW}{high:>9}{OFF} {DIM}{what}{OFF}"
    )
}

fn bar(part: usize, whole: usize, color: &str) -> String {
    let filled = (part * BAR).checked_div(whole).unwrap_or(0).min(BAR);
    let (full, rest) = ("█".repeat(filled), "░".repeat(BAR - filled));
    format!("{color}{full}{OFF}{DIM}{rest}{OFF}")
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1} s"))
}

fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"))
}

fn clock(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_figures_and_the_block_the_address() {
        let numbers = Numbers {
            completed: 41,
            wait_p50_s: Some(6.25),
            drivers: 10,
            idle: 4,
            ..Numbers::default()
        };
        let line = line(&numbers);
        assert!(line.contains("41 completed") && line.contains("wait p50 6.2 s p90 -"), "{line}");
        let block = block(&numbers, "http://127.0.0.1:8080/");
        assert!(block.contains("http://127.0.0.1:8080/") && block.contains("6 of 10 with work"));
        assert!(!block.contains("unanswered"), "no trouble is not worth a line");
    }

    #[test]
    fn a_bar_never_overflows() {
        for (part, whole) in [(0, 0), (5, 0), (3, 3), (9, 3)] {
            let cells = bar(part, whole, "").chars().filter(|c| "█░".contains(*c)).count();
            assert_eq!(cells, BAR, "{part} of {whole}");
        }
    }
}
