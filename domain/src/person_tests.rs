//! Tables of what is and what is no CPF, phone, email, name and plate.

use super::*;

#[test]
fn a_cpf_is_read_with_and_without_punctuation() {
    let table = [
        ("12345678909", Ok("12345678909")),
        ("123.456.789-09", Ok("12345678909")),
        (" 529.982.247-25 ", Ok("52998224725")),
        ("11144477735", Ok("11144477735")),
        ("00000000191", Ok("00000000191")),
        ("12345678908", Err(PersonError::CpfCheckDigits)),
        ("12345678919", Err(PersonError::CpfCheckDigits)),
        ("00000000000", Err(PersonError::CpfCheckDigits)),
        ("111.111.111-11", Err(PersonError::CpfCheckDigits)),
        ("99999999999", Err(PersonError::CpfCheckDigits)),
        ("", Err(PersonError::CpfFormat)),
        ("1234567890", Err(PersonError::CpfFormat)),
        ("123456789091", Err(PersonError::CpfFormat)),
        ("123-456-789.09", Err(PersonError::CpfFormat)),
        ("123.456.78909", Err(PersonError::CpfFormat)),
        ("1234567890a", Err(PersonError::CpfFormat)),
        ("12345678909\0", Err(PersonError::CpfFormat)),
        ("１２３４５６７８９０９", Err(PersonError::CpfFormat)),
    ];
    for (text, expected) in table {
        let got = Cpf::parse(text).map(|cpf| cpf.expose());
        assert_eq!(got, expected.map(str::to_owned), "{text:?}");
    }
}

#[test]
fn a_made_up_cpf_passes_its_own_checks() {
    for base in [0, 1, 7, 123_456_789, 100_000_001, 999_999_998, 4_294_967_295] {
        let Some(cpf) = Cpf::with_check_digits(base) else {
            assert_eq!(base, 0, "only equal digits have no number");
            continue;
        };
        assert_eq!(Cpf::parse(&cpf.expose()), Ok(cpf), "{base}");
    }
    assert!(Cpf::with_check_digits(111_111_111).is_none());
    let known = Cpf::with_check_digits(123_456_789).expect("digits differ");
    assert_eq!(known.expose(), "12345678909");
}

#[test]
fn a_phone_is_kept_as_plus_and_digits() {
    let table = [
        ("+5511987654321", Some("+5511987654321")),
        ("+55 11 98765-4321", Some("+5511987654321")),
        (" +55 (11) 98765.4321 ", Some("+5511987654321")),
        ("+12345678", Some("+12345678")),
        ("+123456789012345", Some("+123456789012345")),
        ("+1234567", None),
        ("+1234567890123456", None),
        ("+0511987654321", None),
        ("5511987654321", None),
        ("+55119876543a1", None),
        ("++5511987654321", None),
        ("+", None),
        ("", None),
        ("+5511987654321\0", None),
    ];
    for (text, expected) in table {
        let got = Phone::parse(text).ok();
        assert_eq!(got.as_ref().map(Phone::as_str), expected, "{text:?}");
    }
}

#[test]
fn an_email_is_lower_case_and_has_a_domain() {
    let table = [
        ("ana@example.com", Ok("ana@example.com")),
        (" Ana.Silva+rides@Example.COM.br ", Ok("ana.silva+rides@example.com.br")),
        ("o'neill@example.com", Ok("o'neill@example.com")),
        ("ana", Err(PersonError::EmailFormat)),
        ("ana@", Err(PersonError::EmailFormat)),
        ("@example.com", Err(PersonError::EmailFormat)),
        ("ana@example", Err(PersonError::EmailFormat)),
        ("ana@b@example.com", Err(PersonError::EmailFormat)),
        ("ana@example..com", Err(PersonError::EmailFormat)),
        ("a..na@example.com", Err(PersonError::EmailFormat)),
        (".ana@example.com", Err(PersonError::EmailFormat)),
        ("ana silva@example.com", Err(PersonError::EmailFormat)),
        ("ana\0@example.com", Err(PersonError::EmailFormat)),
        ("ana\n@example.com", Err(PersonError::EmailFormat)),
        ("aná@example.com", Err(PersonError::EmailFormat)),
        ("<ana@example.com>", Err(PersonError::EmailFormat)),
    ];
    for (text, expected) in table {
        let got = Email::parse(text);
        assert_eq!(got.as_ref().map(Email::as_str), expected.as_ref().copied(), "{text:?}");
    }
    let host = format!("{}.com", "d".repeat(250 - 4));
    assert!(Email::parse(&format!("abc@{host}")).is_ok(), "254 bytes");
    assert_eq!(Email::parse(&format!("abcd@{host}")), Err(PersonError::EmailLength));
}

#[test]
fn a_name_has_one_to_120_plain_characters() {
    let long = "é".repeat(120);
    let table = [
        ("Ana", Ok("Ana")),
        ("  João da Silva ", Ok("João da Silva")),
        (long.as_str(), Ok(long.as_str())),
        ("", Err(PersonError::NameLength)),
        ("   ", Err(PersonError::NameLength)),
        ("A\0na", Err(PersonError::NameCharacter)),
        ("A\nna", Err(PersonError::NameCharacter)),
        ("A\u{1b}[31mna", Err(PersonError::NameCharacter)),
        ("A\u{202e}na", Err(PersonError::NameCharacter)),
    ];
    for (text, expected) in table {
        let got = PersonName::parse(text);
        assert_eq!(got.as_ref().map(PersonName::as_str), expected.as_ref().copied(), "{text:?}");
    }
    assert_eq!(PersonName::parse(&"a".repeat(121)), Err(PersonError::NameLength));
}

#[test]
fn a_plate_is_old_or_mercosul() {
    let table = [
        ("ABC1234", Some("ABC1234")),
        ("abc-1234", Some("ABC1234")),
        ("abc 1d23", Some("ABC1D23")),
        (" ABC1D23 ", Some("ABC1D23")),
        ("AB1234", None),
        ("ABCD234", None),
        ("ABC12D3", None),
        ("ABC12345", None),
        ("AB-C1234", None),
        ("ABC--1234", None),
        ("ÁBC1234", None),
        ("é1", None),
        ("", None),
    ];
    for (text, expected) in table {
        let got = Plate::parse(text).ok();
        assert_eq!(got.as_ref().map(Plate::as_str), expected, "{text:?}");
    }
}

#[test]
fn personal_data_never_reaches_a_log() {
    let cpf = Cpf::parse("12345678909").expect("valid");
    let phone = Phone::parse("+5511987654321").expect("valid");
    let email = Email::parse("ana@example.com").expect("valid");
    let name = PersonName::parse("Ana Silva").expect("valid");
    let plate = Plate::parse("ABC1D23").expect("valid");
    let shown = format!("{cpf:?} {phone:?} {email:?} {name:?} {plate:?}");
    assert_eq!(shown, "Cpf(***) Phone(***) Email(***) PersonName(***) Plate(***)");
}

#[test]
fn an_error_names_its_field() {
    let refused = Cpf::parse("12345678900").expect_err("wrong digits");
    assert_eq!((refused.field(), refused.code()), ("cpf", "invalid_check_digits"));
    let refused = Phone::parse("12").expect_err("no plus");
    assert_eq!((refused.field(), refused.code()), ("phone", "invalid_format"));
    let refused = PersonName::parse("").expect_err("empty");
    assert_eq!((refused.field(), refused.code()), ("name", "out_of_range"));
}
