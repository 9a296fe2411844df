//! Who may speak with the provider: certificates, names, tokens, scopes.

use std::path::Path;

use ibora::pix::simulator::Certificates;
use serde_json::json;

use super::provider::{Provider, https};

#[actix::test]
async fn only_a_living_certificate_of_its_own_authority_is_let_in() {
    let provider = Provider::start().await;
    let own = provider.simulator.certificates().clone();
    let other_dir = provider.dir.join("other");
    let other = Certificates::make(Path::new(&other_dir)).expect("certificates");
    for (why, identity) in [
        ("no certificate", None),
        ("another authority", Some(&other.client.path)),
        ("its time is over", Some(&own.expired_client.path)),
    ] {
        let answer = provider.ask_token(&https(&own, identity)).await;
        assert!(answer.is_err(), "{why}: {answer:?}");
    }
    let answer = provider.ask_token(&https(&own, Some(&own.client.path))).await;
    assert!(answer.is_ok_and(|(status, _)| status == 200));
    let distrust = provider.ask_token(&https(&other, Some(&own.client.path))).await;
    assert!(distrust.is_err(), "a client that trusts another authority does not trust it");
    provider.end().await;
}

#[actix::test]
async fn a_token_is_needed_and_must_be_good_for_the_call() {
    let mut provider = Provider::start().await;
    assert_eq!(provider.get("/v2/gn/saldo").await.0, 200);
    provider.control("tokens", json!({"revoke": true, "scopes": "cob.read"})).await;
    let (status, answer) = provider.get("/v2/gn/saldo").await;
    assert_eq!((status, &answer["error"]), (401, &json!("invalid_token")));
    provider.renew().await;
    let (status, answer) = provider.get("/v2/gn/saldo").await;
    assert_eq!((status, &answer["detail"]), (403, &json!("insufficient_scope")));
    provider.end().await;
}

#[actix::test]
async fn the_pkcs12_file_holds_the_client_s_certificate_and_key() {
    let provider = Provider::start().await;
    let path = &provider.simulator.certificates().client_p12;
    let bytes = std::fs::read(path).expect("a file");
    let policy = p12_keystore::Pkcs12ImportPolicy::Strict;
    let store = p12_keystore::KeyStore::from_pkcs12(&bytes, "", policy).expect("PKCS#12");
    let (_, chain) = store.private_key_chain().expect("a key with its certificate");
    assert_eq!(chain.certs().len(), 1);
    provider.end().await;
}
