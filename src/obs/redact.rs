//! The last line of defence for what must not be in a log: secrets by field name, cards by shape.
//!
//! Only `obs` calls this. The first line is the types, whose `Debug` shows nothing; this one
//! catches what a hurried log statement or a foreign crate's error text lets through.

use std::borrow::Cow;

/// What stands in a log instead of a secret.
pub(super) const HIDDEN: &str = "***";

/// Names whose values are never shown, in lower case and without separators.
const SECRET_NAMES: &[&str] = &[
    "accesstoken",
    "apikey",
    "authorization",
    "bearer",
    "cardnumber",
    "clientsecret",
    "cookie",
    "cpf",
    "cvv",
    "email",
    "jwt",
    "passphrase",
    "password",
    "phone",
    "pin",
    "pixkey",
    "refreshtoken",
    "secret",
    "setcookie",
    "signingkey",
    "ticket",
    "token",
];

/// Digits of a card number.
const CARD_DIGITS: usize = 16;
/// Digits of a card number that may be shown, its last.
const CARD_SHOWN: usize = 4;

/// Whether the field's value must not be shown. Only the last part of a dotted name counts:
/// `user.email` is hidden, `email.sent` is not. `cardNumber` and `card-number` are one name.
pub(super) fn is_secret(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    SECRET_NAMES.iter().any(|secret| {
        let letters = last.bytes().filter(|byte| !matches!(byte, b'_' | b'-'));
        letters.map(|byte| byte.to_ascii_lowercase()).eq(secret.bytes())
    })
}

/// The text with every run of exactly 16 digits as `****` and its last four.
pub(super) fn mask_cards(text: &str) -> Cow<'_, str> {
    let mut masked = String::new();
    let mut shown_to = 0;
    let mut run = 0;
    for (at, byte) in text.bytes().chain([b' ']).enumerate() {
        if byte.is_ascii_digit() {
            run += 1;
            continue;
        }
        if run == CARD_DIGITS {
            masked.push_str(&text[shown_to..at - CARD_DIGITS]);
            masked.push_str("****");
            masked.push_str(&text[at - CARD_SHOWN..at]);
            shown_to = at;
        }
        run = 0;
    }
    if shown_to == 0 {
        return Cow::Borrowed(text);
    }
    masked.push_str(&text[shown_to..]);
    Cow::Owned(masked)
}

/// Whether a number would be a card number if it were text.
pub(super) fn is_card(number: u128) -> bool {
    const SMALLEST: u128 = 1_000_000_000_000_000;
    (SMALLEST..SMALLEST * 10).contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_the_last_part_of_their_name() {
        for secret in ["password", "req.headers.Authorization", "res.body.token", "cardNumber"] {
            assert!(is_secret(secret), "{secret}");
        }
        for secret in ["card-number", "pix_key", "PIX_KEY", "cpf", "user.email", "Set-Cookie"] {
            assert!(is_secret(secret), "{secret}");
        }
        for open in ["ride.id", "email.sent", "token_kind", "passwords", "", "spin", "."] {
            assert!(!is_secret(open), "{open}");
        }
    }

    #[test]
    fn sixteen_digits_in_a_row_are_a_card_and_other_lengths_are_not() {
        let cases = [
            ("4111111111111111", "****1111"),
            ("card 4111111111111234, ok", "card ****1234, ok"),
            ("4111111111111234 5500000000005678", "****1234 ****5678"),
            ("ção 4111111111111234 é", "ção ****1234 é"),
            ("411111111111123", "411111111111123"),
            ("41111111111112345", "41111111111112345"),
            ("", ""),
        ];
        for (text, shown) in cases {
            assert_eq!(mask_cards(text), shown);
        }
    }

    #[test]
    fn a_number_is_a_card_by_its_length() {
        assert!(is_card(1_000_000_000_000_000) && is_card(9_999_999_999_999_999));
        assert!(!is_card(999_999_999_999_999) && !is_card(10_000_000_000_000_000));
    }
}
