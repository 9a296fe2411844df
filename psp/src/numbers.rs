//! Numbers that the network gives: counted, so that a run can be told again.

use ibora_domain::pix::{EndToEndId, PixError, ReturnId};
use ibora_domain::units::UnixMillis;

use crate::refusal::Refusal;

/// The simulated bank's number in the payment system.
const ISPB: &str = "09089356";

/// A counter that makes 32-character numbers of the network's shape.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Numbers(u64);

/// Characters of a number that is shorter than the rule says, as the provider has published some.
const SHORT: usize = 26;

impl Numbers {
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }

    /// `E`, bank, minute, 11 characters; or without some of the zeros before its end.
    pub(crate) fn end_to_end(
        &mut self,
        now: UnixMillis,
        short: bool,
    ) -> Result<EndToEndId, Refusal> {
        let mut text = self.text('E', now);
        if short {
            text.replace_range(SHORT - 5..text.len() - 5, "");
        }
        EndToEndId::parse(&text).map_err(impossible)
    }

    /// `D`, bank, minute, 11 characters.
    pub(crate) fn of_return(&mut self, now: UnixMillis) -> Result<ReturnId, Refusal> {
        ReturnId::parse(&self.text('D', now)).map_err(impossible)
    }

    fn text(&mut self, kind: char, now: UnixMillis) -> String {
        let moment = now.to_string();
        let digits = moment.bytes().filter(u8::is_ascii_digit).map(char::from);
        let minute: String = digits.take(12).collect();
        format!("{kind}{ISPB}{minute}{:011}", self.next())
    }
}

/// Only a year of more than four digits makes such a number too strange to be one.
const fn impossible(_: PixError) -> Refusal {
    Refusal::OutOfRange
}
