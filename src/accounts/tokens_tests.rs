//! What is no access token of ours: forged, borrowed, stale or strange.

use jsonwebtoken::crypto::sign;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;

const KEY: &str = "an integration test signing key!";
const NOW: UnixMillis = UnixMillis(1_795_310_763_000);

fn tokens() -> Tokens {
    let options = AccountOptions::with_key(SecretString::from(KEY));
    Tokens::new(&options).expect("valid options")
}

fn somebody() -> UserId {
    UserId(Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0001))
}

fn header() -> Value {
    json!({"typ": "at+jwt", "alg": "HS256"})
}

fn claims() -> Value {
    json!({
        "iss": "ibora", "aud": "ibora-api", "sub": somebody().0, "role": "driver",
        "scopes": ["read", "write"], "iat": 1_795_310_763, "exp": 1_795_311_663,
        "jti": Uuid::from_u128(7),
    })
}

/// `base` with one member set, or taken out where `value` is null.
fn with(mut base: Value, name: &str, value: Value) -> Value {
    let members = base.as_object_mut().expect("an object");
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    base
}

fn encode(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// A token made by hand and signed by `key`.
fn forge(header: &Value, claims: &Value, key: &str, algorithm: Algorithm) -> String {
    let message = encode(header, claims);
    let key = EncodingKey::from_secret(key.as_bytes());
    let signature = sign(message.as_bytes(), &key, algorithm).expect("signed");
    format!("{message}.{signature}")
}

fn ours(header: &Value, claims: &Value) -> String {
    forge(header, claims, KEY, Algorithm::HS256)
}

fn refused(token: &str) -> Option<TokenError> {
    tokens().check(token, NOW).err()
}

#[test]
fn what_was_signed_is_read_back() {
    let tokens = tokens();
    for role in Role::ALL {
        let token = tokens.sign(somebody(), *role, NOW).expect("signed");
        let identity = tokens.check(&token, NOW).expect("our own");
        assert_eq!((identity.user, identity.role), (somebody(), *role));
        assert_eq!(identity.scopes, role.scopes());
        assert_eq!(identity.expires_at, NOW + Millis::from_secs(900));
        assert_eq!(identity.may(Scope::Admin), *role == Role::Admin);
    }
    // The forger of the tests below is one that would succeed with the right parts.
    assert_eq!(refused(&ours(&header(), &claims())), None);
}

#[test]
fn a_token_ends_after_its_life_and_a_small_leeway() {
    let tokens = tokens();
    let token = tokens.sign(somebody(), Role::Driver, NOW).expect("signed");
    let after = |seconds| tokens.check(&token, NOW + Millis::from_secs(seconds)).err();
    assert_eq!(after(899), None);
    assert_eq!(after(904), None);
    assert_eq!(after(905), Some(TokenError::Expired));
    let life = Millis::from_secs(7200);
    let long = tokens.sign_for(somebody(), Role::Driver, NOW, life).expect("signed");
    assert!(tokens.check(&long, NOW + Millis::from_secs(7199)).is_ok());
}

#[test]
fn no_other_key_and_no_other_algorithm() {
    let (head, body) = (header(), claims());
    let other_key = forge(&head, &body, "another key of thirty-two bytes!", Algorithm::HS256);
    assert_eq!(refused(&other_key), Some(TokenError::Signature));
    let empty_key = forge(&head, &body, "", Algorithm::HS256);
    assert_eq!(refused(&empty_key), Some(TokenError::Signature));

    for name in ["none", "None", "NONE", ""] {
        let message = encode(&with(head.clone(), "alg", json!(name)), &body);
        assert_eq!(refused(&format!("{message}.")), Some(TokenError::Malformed), "{name}");
    }
    for (name, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        let token = forge(&with(head.clone(), "alg", json!(name)), &body, KEY, algorithm);
        assert_eq!(refused(&token), Some(TokenError::Header), "{name}");
    }
    for name in ["RS256", "ES256", "PS256", "EdDSA"] {
        let token = ours(&with(head.clone(), "alg", json!(name)), &body);
        assert_eq!(refused(&token), Some(TokenError::Header), "{name}");
    }
}

#[test]
fn no_header_that_asks_for_something_else() {
    let strange = [
        ("typ", json!("JWT")),
        ("typ", json!("rt+jwt")),
        ("typ", Value::Null),
        ("kid", json!("../../etc/passwd")),
        ("kid", json!("x' OR 1=1 --")),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/cert")),
        ("jwk", json!({"kty": "oct", "k": "AAAA"})),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("cty", json!("JWT")),
    ];
    for (name, value) in strange {
        let token = ours(&with(header(), name, value.clone()), &claims());
        assert_eq!(refused(&token), Some(TokenError::Header), "{name}: {value}");
    }
}

#[test]
fn no_claims_that_are_not_for_us() {
    let strange = [
        ("aud", json!("another-api"), TokenError::Audience),
        ("iss", json!("another"), TokenError::Audience),
        ("aud", json!(["ibora-api", "another-api"]), TokenError::Malformed),
        ("aud", Value::Null, TokenError::Malformed),
        ("iss", Value::Null, TokenError::Malformed),
        ("sub", Value::Null, TokenError::Malformed),
        ("exp", Value::Null, TokenError::Malformed),
        ("jti", Value::Null, TokenError::Malformed),
        ("sub", json!("1 OR 1=1"), TokenError::Malformed),
        ("role", json!("root"), TokenError::Malformed),
        ("scopes", json!(["everything"]), TokenError::Malformed),
        ("scopes", json!("admin"), TokenError::Malformed),
        ("exp", json!("never"), TokenError::Malformed),
        ("exp", json!(1_795_310_757), TokenError::Expired),
        ("exp", json!(0), TokenError::Expired),
    ];
    for (name, value, expected) in strange {
        let token = ours(&header(), &with(claims(), name, value.clone()));
        assert_eq!(refused(&token), Some(expected), "{name}: {value}");
    }
}

#[test]
fn no_token_that_was_touched_is_too_long_or_is_none() {
    let token = ours(&header(), &claims());
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let (head, _) = message.split_once('.').expect("three parts");
    let body = with(claims(), "role", json!("admin")).to_string();
    let touched = format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(body));
    assert_eq!(refused(&touched), Some(TokenError::Signature));

    let huge = format!("{}.{}.{}", "a".repeat(50_000), "b".repeat(50_000), "c".repeat(43));
    assert_eq!(refused(&huge), Some(TokenError::TooLarge));
    for text in ["", ".", "..", "...", "a.b", "a.b.c", message, "\0", "Bearer x.y.z"] {
        assert_eq!(refused(text), Some(TokenError::Malformed), "{text:?}");
    }
    let refresh = RefreshToken::first(FamilyId(Uuid::now_v7())).to_text();
    assert_eq!(refused(&refresh), Some(TokenError::Malformed));
}

#[test]
fn a_key_that_is_too_short_is_refused() {
    let options = AccountOptions::with_key(SecretString::from("thirty-one bytes are too few..."));
    assert_eq!(Tokens::new(&options).err(), Some(OptionsError::SigningKey { bytes: 31 }));
}

#[test]
fn a_refresh_token_is_read_back_and_nothing_else_is_one() {
    let token = RefreshToken::first(FamilyId(Uuid::now_v7()));
    let text = token.to_text();
    assert_eq!(text.len(), 76);
    let back = RefreshToken::parse(&text).expect("our own");
    assert_eq!(back.family, token.family);
    assert!(back.hash().matches(&token.hash()));

    let tokens = tokens();
    let access = tokens.sign(somebody(), Role::Driver, NOW).expect("signed");
    let longer = format!("{text}A");
    let shorter = &text[..75];
    let other_family = format!("{{{}", &text[1..]);
    for none in ["", ".", &access, &longer, shorter, &other_family] {
        assert!(RefreshToken::parse(none).is_none(), "{none:?}");
    }
}

#[test]
fn a_successor_is_the_same_each_time_and_differs_by_family_secret_and_key() {
    let tokens = tokens();
    let token = RefreshToken::first(FamilyId(Uuid::now_v7()));
    let next = tokens.successor(&token).expect("signed");
    assert!(next.hash().matches(&tokens.successor(&token).expect("signed").hash()));
    assert!(!next.hash().matches(&token.hash()));
    let elsewhere = RefreshToken { family: FamilyId(Uuid::now_v7()), secret: token.secret };
    assert!(!next.hash().matches(&tokens.successor(&elsewhere).expect("signed").hash()));
    let options = AccountOptions::with_key(SecretString::from("another key of thirty-two bytes!"));
    let others = Tokens::new(&options).expect("valid options");
    assert!(!next.hash().matches(&others.successor(&token).expect("signed").hash()));
}
