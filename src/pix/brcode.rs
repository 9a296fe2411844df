//! BR Codes: the text that a payer scans or copies ("copia e cola"), as TLV with a CRC at its end.
//!
//! The simulator of the provider writes them; whoever shows what the provider answered reads them
//! first. A code that `parse` took has a true CRC and whole fields, and is no more than that: whom
//! it pays is for the caller to compare.
//!
//! Source: the central bank's manual for the initiation of Pix, EMV QR Code MPM 1.0.

use std::fmt::Write as _;

use ibora_domain::money::Centavos;
use thiserror::Error;

/// Names the template of Pix. Some encoders write it in upper case.
const GUI: &str = "br.gov.bcb.pix";
/// Stands for "no txid".
const NO_TXID: &str = "***";
/// The name of whom it pays, and the town: the most characters.
const NAME_MAX: usize = 25;
const CITY_MAX: usize = 15;
/// The most digits of an amount, its point and places included.
const AMOUNT_MAX: usize = 13;
const CRC_FIELD: &str = "6304";

/// Why a text is no BR Code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BrCodeError {
    #[error("its end is no CRC")]
    NoCrc,
    #[error("its CRC is {wrong:04X}, not {right:04X}")]
    Crc { wrong: u16, right: u16 },
    #[error("a field is cut off, or its length is no number")]
    Tlv,
    #[error("field {0:02} is missing or not what it must be")]
    Field(u8),
    #[error("no template of Pix")]
    NotPix,
    #[error("field {0:02} would be too long")]
    TooLong(u8),
}

/// What a code says. Whom it pays may be a person: nothing here is for logs.
#[derive(Clone, PartialEq, Eq)]
pub struct BrCode {
    pub target: Target,
    /// Says that the code is good for one payment.
    pub once: bool,
    pub amount: Option<Centavos>,
    pub name: String,
    pub city: String,
    pub txid: Option<String>,
}

/// Where the payer's bank learns whom to pay.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// From the code: a key, and perhaps a text.
    Static { key: String, info: Option<String> },
    /// From the provider: an address without scheme.
    Dynamic { url: String },
}

impl std::fmt::Debug for BrCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrCode").field("amount", &self.amount).finish_non_exhaustive()
    }
}

impl BrCode {
    /// The text of this code.
    ///
    /// # Errors
    /// [`BrCodeError::TooLong`].
    pub fn encode(&self) -> Result<String, BrCodeError> {
        let mut merchant = field(0, GUI)?;
        match &self.target {
            Target::Static { key, info } => {
                merchant += &field(1, key)?;
                if let Some(info) = info {
                    merchant += &field(2, info)?;
                }
            }
            Target::Dynamic { url } => merchant += &field(25, url)?,
        }
        let mut text = field(0, "01")?;
        if self.once {
            text += &field(1, "12")?;
        }
        text += &field(26, &merchant)?;
        text += &field(52, "0000")?;
        text += &field(53, "986")?;
        if let Some(amount) = self.amount {
            text += &short(54, &amount.to_string(), AMOUNT_MAX)?;
        }
        text += &field(58, "BR")?;
        text += &short(59, &self.name, NAME_MAX)?;
        text += &short(60, &self.city, CITY_MAX)?;
        text += &field(62, &field(5, self.txid.as_deref().unwrap_or(NO_TXID))?)?;
        text += CRC_FIELD;
        let crc = crc16(text.as_bytes());
        write!(text, "{crc:04X}").map_err(|_| BrCodeError::NoCrc)?;
        Ok(text)
    }

    /// Reads a code: first its CRC, then its fields. Fields that are not used here are passed over.
    ///
    /// # Errors
    /// [`BrCodeError`].
    pub fn parse(text: &str) -> Result<Self, BrCodeError> {
        check_crc(text)?;
        let root = fields(text)?;
        expect(&root, 0, "01")?;
        expect(&root, 53, "986")?;
        expect(&root, 58, "BR")?;
        let amount = match value(&root, 54) {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| BrCodeError::Field(54))?),
        };
        let required = |id| value(&root, id).map(str::to_owned).ok_or(BrCodeError::Field(id));
        let txid = match value(&root, 62) {
            None => None,
            Some(inner) => value(&fields(inner)?, 5).map(str::to_owned),
        };
        Ok(Self {
            target: target(&root)?,
            once: value(&root, 1) == Some("12"),
            amount,
            name: required(59)?,
            city: required(60)?,
            txid: txid.filter(|txid| txid != NO_TXID),
        })
    }
}

/// The merchant account of Pix: one of the templates 26 to 51.
fn target(root: &[(u8, &str)]) -> Result<Target, BrCodeError> {
    for (_, inner) in root.iter().filter(|(id, _)| (26..=51).contains(id)) {
        let inner = fields(inner)?;
        if !value(&inner, 0).is_some_and(|gui| gui.eq_ignore_ascii_case(GUI)) {
            continue;
        }
        let owned = |id| value(&inner, id).map(str::to_owned);
        return match (owned(1), owned(25)) {
            (Some(key), None) => Ok(Target::Static { key, info: owned(2) }),
            (None, Some(url)) => Ok(Target::Dynamic { url }),
            _ => Err(BrCodeError::Field(26)),
        };
    }
    Err(BrCodeError::NotPix)
}

fn value<'a>(fields: &[(u8, &'a str)], id: u8) -> Option<&'a str> {
    fields.iter().find(|(found, _)| *found == id).map(|(_, value)| *value)
}

fn expect(fields: &[(u8, &str)], id: u8, wanted: &str) -> Result<(), BrCodeError> {
    (value(fields, id) == Some(wanted)).then_some(()).ok_or(BrCodeError::Field(id))
}

/// One field. Its length counts characters, not bytes.
fn field(id: u8, value: &str) -> Result<String, BrCodeError> {
    short(id, value, 99)
}

fn short(id: u8, value: &str, max: usize) -> Result<String, BrCodeError> {
    let length = value.chars().count();
    if length > max {
        return Err(BrCodeError::TooLong(id));
    }
    Ok(format!("{id:02}{length:02}{value}"))
}

/// The fields of a text, which must be used up to its last character.
fn fields(text: &str) -> Result<Vec<(u8, &str)>, BrCodeError> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (id, behind) = number(rest)?;
        let (length, behind) = number(behind)?;
        let mut ends = behind.char_indices().map(|(at, _)| at).chain([behind.len()]);
        let end = ends.nth(usize::from(length)).ok_or(BrCodeError::Tlv)?;
        found.push((id, &behind[..end]));
        rest = &behind[end..];
    }
    Ok(found)
}

/// Two digits, and what is behind them.
fn number(text: &str) -> Result<(u8, &str), BrCodeError> {
    let digits = text.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok()).ok_or(BrCodeError::Tlv)?;
    Ok((number, &text[2..]))
}

fn check_crc(text: &str) -> Result<(), BrCodeError> {
    let at = text.len().checked_sub(4).filter(|at| text.is_char_boundary(*at));
    let (covered, crc) = text.split_at(at.ok_or(BrCodeError::NoCrc)?);
    let hexadecimal = crc.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !covered.ends_with(CRC_FIELD) || !hexadecimal {
        return Err(BrCodeError::NoCrc);
    }
    let wrong = u16::from_str_radix(crc, 16).map_err(|_| BrCodeError::NoCrc)?;
    let right = crc16(covered.as_bytes());
    (wrong == right).then_some(()).ok_or(BrCodeError::Crc { wrong, right })
}

/// CRC-16/CCITT-FALSE: polynomial 0x1021, from 0xFFFF, nothing reflected.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATIC: &str = "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-4266554400005204\
                          000053039865802BR5913Fulano de Tal6008BRASILIA62070503***63041D3D";
    const DYNAMIC: &str = "00020101021226700014br.gov.bcb.pix2548pix.example.com/8b3da2f39a4140d1\
                           a91abd93113bd4415204000053039865802BR5913Fulano de Tal6008BRASILIA62070\
                           503***630464E4";

    fn fulano(target: Target) -> BrCode {
        BrCode {
            once: matches!(target, Target::Dynamic { .. }),
            target,
            amount: None,
            name: "Fulano de Tal".to_owned(),
            city: "BRASILIA".to_owned(),
            txid: None,
        }
    }

    fn with_crc(text: &str) -> String {
        format!("{text}{:04X}", crc16(text.as_bytes()))
    }

    #[test]
    fn the_crc_is_the_one_of_the_catalogue() {
        assert_eq!(crc16(b"123456789"), 0x29B1);
    }

    #[test]
    fn both_printed_codes_are_written_and_read() {
        let key = "123e4567-e12b-12d1-a456-426655440000".to_owned();
        let url = "pix.example.com/8b3da2f39a4140d1a91abd93113bd441".to_owned();
        for (text, target) in
            [(STATIC, Target::Static { key, info: None }), (DYNAMIC, Target::Dynamic { url })]
        {
            let code = fulano(target);
            assert_eq!(code.encode().as_deref(), Ok(text));
            assert_eq!(BrCode::parse(text), Ok(code));
        }
    }

    #[test]
    fn an_amount_a_text_and_a_txid_come_back() {
        let target = Target::Static { key: "a@b.c".to_owned(), info: Some("corrida".to_owned()) };
        let code = BrCode {
            amount: Some(Centavos(2350)),
            txid: Some("RIDE0001".to_owned()),
            city: "São Paulo".to_owned(),
            ..fulano(target)
        };
        let text = code.encode().expect("fits");
        assert!(text.contains("540523.50") && text.contains("62120508RIDE0001"), "{text}");
        assert!(text.contains("6009São Paulo"), "length counts characters: {text}");
        assert_eq!(BrCode::parse(&text), Ok(code));
    }

    #[test]
    fn encoders_of_others_are_understood() {
        let upper = "00020126270014BR.GOV.BCB.PIX0105a@b.c5204000053039865802BR5901F6001B\
                     62250521IdentificadorRIDE00016304";
        let code = BrCode::parse(&with_crc(upper)).expect("another's spelling");
        assert_eq!(code.txid.as_deref(), Some("IdentificadorRIDE0001"));
        let unmarked = DYNAMIC.replacen("010212", "", 1);
        let code = BrCode::parse(&with_crc(&unmarked[..unmarked.len() - 4])).expect("no field 01");
        assert!(!code.once && matches!(code.target, Target::Dynamic { .. }));
    }

    #[test]
    fn a_true_crc_does_not_save_wrong_fields() {
        let malformed = STATIC.replacen("62070503***", "62080503***", 1);
        let malformed = with_crc(&malformed[..malformed.len() - 4]);
        assert_eq!(BrCode::parse(&malformed), Err(BrCodeError::Tlv));
        let cases = [
            ("0002016304", BrCodeError::Field(53)),
            ("0002025303986630400006304", BrCodeError::Field(0)),
            ("00020126180014br.gov.bcb.pix53039865802BR5901F6001B6304", BrCodeError::Field(26)),
            ("00020126070003abc53039865802BR5901F6001B6304", BrCodeError::NotPix),
            ("000201530398654041e2.5802BR5901F6001B6304", BrCodeError::Field(54)),
            ("00020153039865802BR5999F6304", BrCodeError::Tlv),
            ("000201XX6304", BrCodeError::Tlv),
        ];
        for (text, error) in cases {
            assert_eq!(BrCode::parse(&with_crc(text)), Err(error), "{text}");
        }
    }

    #[test]
    fn every_changed_character_is_noticed() {
        for at in 0..STATIC.len() {
            let mut changed = STATIC.as_bytes().to_vec();
            changed[at] = if changed[at] == b'8' { b'9' } else { b'8' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(BrCode::parse(&changed).is_err(), "{at}");
        }
        for end in 0..STATIC.len() {
            assert!(BrCode::parse(&STATIC[..end]).is_err(), "{end}");
        }
        assert_eq!(BrCode::parse("é"), Err(BrCodeError::NoCrc));
    }

    #[test]
    fn what_would_not_fit_is_refused() {
        let long =
            BrCode { name: "x".repeat(26), ..fulano(Target::Dynamic { url: "p/1".to_owned() }) };
        assert_eq!(long.encode(), Err(BrCodeError::TooLong(59)));
    }
}
