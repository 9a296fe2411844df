//! A driver's statement of some days as a page to print: in Portuguese, or in English. Plain HTML,
//! without script, and nothing in it comes from elsewhere.

use std::fmt::Write;

use ibora_domain::money::Centavos;
use time::Date;

use crate::readmodel::{Pocket, StatementLine};

/// What may be printed.
pub(super) struct Statement<'a> {
    pub(super) driver: &'a str,
    pub(super) days: (Date, Date),
    /// Available, held, owed: before the first line and after the last.
    pub(super) before: [Centavos; 3],
    pub(super) after: [Centavos; 3],
    /// The newest first, as they are read.
    pub(super) lines: &'a [StatementLine],
}

/// In which language people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Portuguese,
    English,
}

impl Language {
    /// The one that is asked for: by name, else by the browser's preferences, else Portuguese.
    pub(super) fn of(named: Option<&str>, accepted: Option<&str>) -> Self {
        if let Some(named) = named {
            return if named == "en" { Self::English } else { Self::Portuguese };
        }
        // The first that is spoken here counts; weights beyond the order are for browsers to sort.
        let mut wanted = accepted.unwrap_or_default().split(',').map(str::trim_start);
        let spoken = |tag: &str| tag.starts_with("pt") || tag.starts_with("en");
        match wanted.find(|tag| spoken(tag)) {
            Some(tag) if tag.starts_with("en") => Self::English,
            _ => Self::Portuguese,
        }
    }

    const fn pick(self, portuguese: &'static str, english: &'static str) -> &'static str {
        match self {
            Self::Portuguese => portuguese,
            Self::English => english,
        }
    }

    /// `1.234,50`, or `1,234.50`.
    fn amount(self, amount: Centavos) -> String {
        let (group, point) = match self {
            Self::Portuguese => ('.', ','),
            Self::English => (',', '.'),
        };
        let centavos = amount.0.unsigned_abs();
        let digits = (centavos / 100).to_string();
        let mut text = String::from(if amount.0 < 0 { "\u{2212}" } else { "" });
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(group);
            }
            text.push(digit);
        }
        write!(text, "{point}{:02}", centavos % 100).ok();
        text
    }

    /// `31/12/2026`, or `2026-12-31`.
    fn day(self, day: Date) -> String {
        match self {
            Self::Portuguese => {
                format!("{:02}/{:02}/{}", day.day(), u8::from(day.month()), day.year())
            }
            Self::English => day.to_string(),
        }
    }

    /// The same of `2026-12-31 23:59`, which the database has told in local time.
    fn moment(self, local: &str) -> String {
        match (self, local.split_once(' '), local.get(..10)) {
            (Self::Portuguese, Some((day, time)), Some(_)) => {
                let turned: Vec<&str> = day.rsplit('-').collect();
                format!("{} {time}", turned.join("/"))
            }
            _ => local.to_owned(),
        }
    }

    const fn pocket(self, pocket: Pocket) -> &'static str {
        match pocket {
            Pocket::Available => self.pick("Disponível", "Available"),
            Pocket::Held => self.pick("Retido", "Held"),
            Pocket::Owed => self.pick("A pagar", "Owed"),
        }
    }

    /// What a line is about. Of a kind that has no words yet the name is shown.
    fn kind<'k>(self, kind: &'k str) -> &'k str
    where
        Self: 'k,
    {
        match kind {
            "pix_received" | "pix_resolved" => {
                self.pick("Corrida paga por Pix", "Ride paid by Pix")
            }
            "tip_paid" => self.pick("Gorjeta", "Tip"),
            "paid_by_credit" => self.pick("Corrida paga com crédito", "Ride paid with credit"),
            "cash_commission" => {
                self.pick("Comissão de corrida em dinheiro", "Commission of a ride in cash")
            }
            "hold_released" => self.pick("Liberação de valor retido", "Held amount released"),
            "set_off" => self.pick("Compensação do valor a pagar", "Set off against what is owed"),
            "payout_requested" => self.pick("Saque por Pix", "Payout by Pix"),
            "payout_failed" => self.pick("Saque não realizado", "Payout not carried out"),
            "payout_returned" => self.pick("Saque devolvido", "Payout returned"),
            "refund_requested" => self.pick("Devolução ao passageiro", "Refund to the passenger"),
            "refund_failed" => self.pick("Devolução não realizada", "Refund not carried out"),
            "dispute_opened" => {
                self.pick("Contestação aberta: valor bloqueado", "Dispute opened: amount frozen")
            }
            "dispute_undone" => self.pick("Contestação desfeita", "Dispute undone"),
            "dispute_ruled" => self.pick("Contestação decidida", "Dispute ruled"),
            "med_accepted" => self.pick("Devolução por fraude (MED)", "Return for fraud (MED)"),
            other => other,
        }
    }
}

const STYLE: &str = "
@page{size:A4;margin:16mm}
*{box-sizing:border-box}
body{font:14px/1.45 system-ui,sans-serif;color:#1b1b1b;max-width:52rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin:0}
header p{margin:.15rem 0;color:#555}
table{width:100%;border-collapse:collapse;margin:1.25rem 0;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding-bottom:.35rem}
th,td{text-align:left;padding:.35rem .5rem;border-bottom:1px solid #ddd;vertical-align:top}
thead th{border-bottom:2px solid #1b1b1b;font-weight:600}
thead{display:table-header-group}
tr{break-inside:avoid}
.n{text-align:right;white-space:nowrap}
.t{white-space:nowrap}
footer{color:#555;font-size:.85rem;margin-top:1.5rem}
@media print{body{margin:0;max-width:none;padding:0;font-size:11px}}
";

/// The page.
pub(super) fn page(statement: &Statement<'_>, language: Language) -> String {
    let say = |portuguese, english| language.pick(portuguese, english);
    let (first, last) = statement.days;
    let title = say("Extrato do motorista", "Driver's statement");
    let mut html = String::with_capacity(8 * 1024 + statement.lines.len() * 256);
    write!(
        html,
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <h1>{title}</h1>\n<p>{}</p>\n<p>{} {} {} {}</p>\n</header>\n",
        say("pt-BR", "en"),
        escaped(statement.driver),
        say("De", "From"),
        language.day(first),
        say("a", "to"),
        language.day(last),
    )
    .ok();
    summary(&mut html, statement, language);
    lines(&mut html, statement, language);
    write!(
        html,
        "<footer>{}</footer>\n</body>\n</html>\n",
        say(
            "Valores em reais (R$). Dias e horários de São Paulo. Saldo: o que havia em cada conta \
             depois do lançamento.",
            "Amounts in reais (R$). Days and times of São Paulo. Balance: what each account held \
             after the entry."
        )
    )
    .ok();
    html
}

fn summary(html: &mut String, statement: &Statement<'_>, language: Language) {
    let say = |portuguese, english| language.pick(portuguese, english);
    write!(
        html,
        "<table>\n<caption>{}</caption>\n<thead><tr><th>{}</th><th class=\"n\">{}</th>\
         <th class=\"n\">{}</th></tr></thead>\n<tbody>\n",
        say("Resumo", "Summary"),
        say("Conta", "Account"),
        say("No início", "At the beginning"),
        say("No fim", "At the end"),
    )
    .ok();
    let pockets = [Pocket::Available, Pocket::Held, Pocket::Owed];
    for ((pocket, before), after) in pockets.iter().zip(statement.before).zip(statement.after) {
        writeln!(
            html,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            language.pocket(*pocket),
            language.amount(before),
            language.amount(after),
        )
        .ok();
    }
    html.push_str("</tbody>\n</table>\n");
}

fn lines(html: &mut String, statement: &Statement<'_>, language: Language) {
    let say = |portuguese, english| language.pick(portuguese, english);
    if statement.lines.is_empty() {
        let none = say("Nenhum lançamento neste período.", "No entries in this period.");
        writeln!(html, "<p>{none}</p>").ok();
        return;
    }
    write!(
        html,
        "<table>\n<caption>{}</caption>\n<thead><tr><th>{}</th><th>{}</th><th>{}</th>\
         <th class=\"n\">{}</th><th class=\"n\">{}</th></tr></thead>\n<tbody>\n",
        say("Lançamentos", "Entries"),
        say("Data", "Time"),
        say("Descrição", "Description"),
        say("Conta", "Account"),
        say("Valor", "Amount"),
        say("Saldo", "Balance"),
    )
    .ok();
    for line in statement.lines.iter().rev() {
        writeln!(
            html,
            "<tr><td class=\"t\">{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td></tr>",
            language.moment(&line.local),
            escaped(language.kind(&line.kind)),
            language.pocket(line.pocket),
            language.amount(line.amount),
            language.amount(line.balance),
        )
        .ok();
    }
    html.push_str("</tbody>\n</table>\n");
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for symbol in text.chars() {
        match symbol {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_one_named_or_preferred_and_else_portuguese() {
        use Language::{English, Portuguese};
        for (named, accepted, language) in [
            (None, None, Portuguese),
            (None, Some("de"), Portuguese),
            (None, Some("en-US,en;q=0.9,pt;q=0.8"), English),
            (None, Some("de, pt-BR;q=0.9, en;q=0.8"), Portuguese),
            (Some("en"), Some("pt-BR"), English),
            (Some("pt"), Some("en"), Portuguese),
        ] {
            assert_eq!(Language::of(named, accepted), language, "{named:?} {accepted:?}");
        }
    }

    #[test]
    fn amounts_and_days_are_written_as_their_readers_write_them() {
        use Language::{English, Portuguese};
        for (centavos, portuguese, english) in [
            (0, "0,00", "0.00"),
            (5, "0,05", "0.05"),
            (100_000, "1.000,00", "1,000.00"),
            (-123_456_789, "\u{2212}1.234.567,89", "\u{2212}1,234,567.89"),
        ] {
            assert_eq!(Portuguese.amount(Centavos(centavos)), portuguese);
            assert_eq!(English.amount(Centavos(centavos)), english);
        }
        assert_eq!(Portuguese.moment("2026-11-22 23:59"), "22/11/2026 23:59");
        assert_eq!(English.moment("2026-11-22 23:59"), "2026-11-22 23:59");
    }

    #[test]
    fn a_name_cannot_become_part_of_the_page() {
        let day = Date::MIN;
        let statement = Statement {
            driver: "<script>alert('x')</script>",
            days: (day, day),
            before: [Centavos::ZERO; 3],
            after: [Centavos::ZERO; 3],
            lines: &[],
        };
        let page = page(&statement, Language::Portuguese);
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)") && !page.contains("<script"));
    }
}
