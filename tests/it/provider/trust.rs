//! Who takes whom for whom: certificates in each form, and each way in which one is not good.

use ibora::obs::Metrics;
use ibora::pix::client::{IdentityError, IdentityFiles, Provider, SetupError};
use ibora_domain::provider::{Hindrance, Outcome, TlsFault};
use p12_keystore::EncryptionAlgorithm;
use secrecy::SecretString;

use super::desk::{Desk, Reply};
use super::papers::{Paper, Papers};
use super::{bounds, options};
use ibora::pix::wire::Balance;

const BALANCE: &str = r#"{"saldo":"10.00"}"#;

async fn desk(papers: &Papers, paper: &Paper) -> Desk {
    Desk::open(
        papers,
        paper,
        |asked| {
            if asked.is_token() { Reply::token(60) } else { Reply::ok(BALANCE) }
        },
    )
    .await
}

fn whole(papers: &Papers, name: &str, paper: &Paper) -> IdentityFiles {
    let certificate = papers.file(name, format!("{}{}", paper.pem(), paper.key_pem()).as_bytes());
    IdentityFiles { certificate, key: None, password: None }
}

async fn balance(desk: &Desk, papers: &Papers, identity: IdentityFiles) -> Outcome<Balance> {
    let options = options(desk, papers, identity, bounds());
    Provider::new(&options, Metrics::new()).expect("a client").balance().await
}

fn fault(outcome: &Outcome<Balance>) -> TlsFault {
    match outcome {
        Outcome::NotSent(Hindrance::Token(inner)) => match **inner {
            Hindrance::Tls(fault) => fault,
            ref other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[actix::test]
async fn a_certificate_identifies_us_in_each_of_its_forms() {
    let papers = Papers::new();
    let desk = desk(&papers, &papers.issue("127.0.0.1", 2999)).await;
    let ours = papers.issue("ibora", 2999);
    let apart = IdentityFiles {
        certificate: papers.file("apart.pem", ours.pem().as_bytes()),
        key: Some(papers.file("apart.key", ours.key_pem().as_bytes())),
        password: None,
    };
    let mut forms = vec![whole(&papers, "whole.pem", &ours), apart];
    let encryptions = [
        EncryptionAlgorithm::PbeWithHmacSha256AndAes256,
        EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc,
    ];
    for encryption in encryptions {
        for password in ["", "segredo"] {
            let name = format!("{encryption:?}{password}.p12");
            let certificate = papers.file(&name, &ours.pkcs12(password, encryption));
            let password = Some(SecretString::from(password));
            forms.push(IdentityFiles { certificate, key: None, password });
        }
    }
    for form in forms {
        let outcome = balance(&desk, &papers, form.clone()).await;
        assert!(matches!(outcome, Outcome::Done(_)), "{form:?}: {outcome:?}");
    }
}

#[actix::test]
async fn a_provider_that_cannot_prove_itself_is_told_nothing() {
    let (papers, strangers) = (Papers::new(), Papers::new());
    let cases = [
        (strangers.issue("127.0.0.1", 2999), TlsFault::UnknownAuthority),
        (papers.issue("127.0.0.1", 2001), TlsFault::Expired),
        (papers.issue("example.com", 2999), TlsFault::OtherName),
    ];
    for (paper, expected) in cases {
        let desk = desk(&papers, &paper).await;
        let identity = whole(&papers, "ours.pem", &papers.issue("ibora", 2999));
        let outcome = balance(&desk, &papers, identity).await;
        assert_eq!(fault(&outcome), expected);
        assert_eq!((desk.tokens(), desk.asked().len()), (0, 0));
    }
}

#[actix::test]
async fn a_certificate_of_ours_that_is_not_taken_is_named_as_the_cause() {
    let (papers, strangers) = (Papers::new(), Papers::new());
    let desk = desk(&papers, &papers.issue("127.0.0.1", 2999)).await;
    for ours in [papers.issue("ibora", 2001), strangers.issue("ibora", 2999)] {
        let outcome = balance(&desk, &papers, whole(&papers, "ours.pem", &ours)).await;
        assert_eq!(fault(&outcome), TlsFault::OursRefused);
    }
    assert_eq!(desk.tokens(), 0);
}

#[actix::test]
async fn files_that_identify_nobody_are_refused_at_the_start() {
    let papers = Papers::new();
    let desk = desk(&papers, &papers.issue("127.0.0.1", 2999)).await;
    let (ours, other) = (papers.issue("ibora", 2999), papers.issue("other", 2999));
    let p12 = ours.pkcs12("certo", EncryptionAlgorithm::PbeWithHmacSha256AndAes256);
    let refusal = |certificate, key, password: Option<&str>| {
        let password = password.map(SecretString::from);
        let identity = IdentityFiles { certificate, key, password };
        let made = Provider::new(&options(&desk, &papers, identity, bounds()), Metrics::new());
        match made.expect_err("no identity") {
            SetupError::Identity(error) => error,
            SetupError::Address => panic!("the address is good"),
        }
    };
    let pem = papers.file("ours.pem", ours.pem().as_bytes());
    let key = papers.file("other.key", other.key_pem().as_bytes());
    assert!(matches!(refusal(pem.clone(), None, None), IdentityError::NoKey { .. }));
    assert!(matches!(refusal(pem, Some(key), None), IdentityError::Apart { .. }));
    let p12 = papers.file("ours.p12", &p12);
    assert!(matches!(refusal(p12.clone(), None, None), IdentityError::Pkcs12 { .. }));
    assert!(matches!(refusal(p12, None, Some("errado")), IdentityError::Pkcs12 { .. }));
    let nothing = papers.file("nothing", b"nothing");
    assert!(matches!(refusal(nothing, None, None), IdentityError::Pkcs12 { .. }));
    let nowhere = papers.file("x", b"").with_file_name("nowhere");
    assert!(matches!(refusal(nowhere, None, None), IdentityError::File { .. }));
}
