//! Who may bring a callback: by the secret on the public listener, by certificate on their own.

use std::path::PathBuf;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use ibora::pix::simulator::Certificates;
use uuid::Uuid;

use super::line::{OK, OLD_SECRET, SECRET, bodies, body, call, engine, received};
use crate::machine::http;
use crate::process::Process;
use crate::psp::https;
use crate::world::World;

#[actix::test]
async fn either_of_two_secrets_opens_the_door_and_nothing_else_does() {
    let world = engine().await;
    let text = body(&[received("E1")]);
    for path in ["/webhooks/efi/pix", "/webhooks/efi/pix/pix"] {
        for secret in [SECRET, OLD_SECRET] {
            for rest in ["", "&ignorar=", "&ignorar=/pix"] {
                let path = format!("{path}?hmac={secret}{rest}");
                assert_eq!(call(&world, &path, text.clone()).await, OK, "{path}");
            }
        }
        for query in ["", "?hmac=", "?hmac", "?secret=x", "?hmac=0123456789abcdefghijklmnopqrstuv"]
        {
            let path = format!("{path}{query}");
            assert_eq!(call(&world, &path, text.clone()).await, 401, "{path}");
        }
        let longer = format!("{path}?hmac={SECRET}/pix");
        assert_eq!(call(&world, &longer, text.clone()).await, 401);
    }
    let big = vec![b'x'; 2 << 20];
    assert_eq!(call(&world, "/webhooks/efi/pix", big).await, 401, "read for nobody");
    assert_eq!(bodies(&world).await.len(), 1);
    world.stop().await;
}

#[actix::test]
async fn without_a_secret_the_public_listener_has_no_such_door() {
    let world = World::start().await;
    for path in ["/webhooks/efi/pix", "/webhooks/efi/pix?hmac=", "/webhooks/efi/pix/pix"] {
        assert_eq!(call(&world, path, body(&[received("E1")])).await, 404, "{path}");
    }
    world.stop().await;
}

#[actix::test]
async fn the_secret_is_in_no_line_of_the_log_and_in_no_figure() {
    let settings = [("log.level", "trace"), ("pix.webhook_secret", SECRET)];
    let process = Process::start(&settings).await;
    let http = http();
    for (query, expected) in [(SECRET, 200), ("canary-of-a-stranger", 401)] {
        for text in [body(&[received("E1")]), "no JSON".to_owned()] {
            let url = process.url(&format!("/webhooks/efi/pix?hmac={query}&ignorar=/pix"));
            let mut answer = http.post(url).send_body(text.clone()).await.expect("an answer");
            let status = if query == SECRET && text == "no JSON" { 400 } else { expected };
            assert_eq!(answer.status().as_u16(), status);
            assert!(answer.body().await.expect("bytes").is_empty());
        }
    }
    let mut figures = http.get(process.url("/metrics")).send().await.expect("an answer");
    let figures = figures.body().limit(1 << 20).await.expect("figures");
    let figures = String::from_utf8(figures.to_vec()).expect("text");
    assert!(figures.contains("ibora_pix_webhooks_total{outcome=\"stored\"} 1\n"), "{figures}");
    assert!(figures.contains("ibora_pix_webhooks_total{outcome=\"stranger\"} 2\n"), "{figures}");
    let log = process.log_text();
    assert!(log.contains("callback answered") && log.contains("\"level\":\"TRACE\""), "{log}");
    for text in [&log, &figures] {
        for secret in [SECRET, "canary-of-a-stranger", "Maria"] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret}");
        }
    }
}

#[actix::test]
async fn on_a_listener_of_its_own_only_the_provider_s_certificate_is_let_in() {
    let dir = std::env::temp_dir().join(format!("ibora-it-{}", Uuid::now_v7().simple()));
    let own = Certificates::make(&dir).expect("certificates");
    let other = Certificates::make(&dir.join("other")).expect("certificates");
    let path = |path: &PathBuf| path.display().to_string();
    let world = World::with(&[
        ("pix.webhook_listen", "127.0.0.1:0"),
        ("pix.webhook_certificate", &path(&own.webhook_server.path)),
        ("pix.webhook_ca", &path(&own.webhook_ca)),
    ])
    .await;
    let port = world.app().callbacks_address.expect("it listens").port();
    let tell = async |identity: Option<&PathBuf>, path: &str| {
        let request = Request::post(format!("https://localhost:{port}{path}"));
        let text = Full::new(Bytes::from(body(&[received("E1")])));
        let request = request.body(text).expect("a request");
        let answer = https(&own, identity).request(request).await;
        answer.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string())
    };
    let stranger = [
        ("no certificate", None),
        ("one of who may call the provider", Some(&own.client.path)),
        ("one whose time is over", Some(&own.expired_provider.path)),
        ("one of another provider", Some(&other.provider.path)),
    ];
    for (who, identity) in stranger {
        let answer = tell(identity, "/webhooks/efi/pix").await;
        assert!(answer.is_err(), "{who}: {answer:?}");
    }
    let provider = Some(&own.provider.path);
    for path in ["/webhooks/efi/pix", "/webhooks/efi/pix/pix"] {
        assert_eq!(tell(provider, path).await, Ok(200), "{path}");
    }
    assert_eq!(tell(provider, "/v1/rides").await, Ok(404), "it is for callbacks alone");
    assert_eq!(bodies(&world).await.len(), 1);
    world.stop().await;
    std::fs::remove_dir_all(dir).expect("its folder goes");
}
