//! Bad input: every kind of it is a 4xx that says what is wrong, and never more.

use std::io::Write;

use actix_web::http::Method;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::ride_request;
use crate::world::World;

#[actix_web::test]
async fn what_is_no_json_is_malformed() {
    let world = World::start().await;
    let token = world.token(world.passenger().await);
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let object = "{\"a\":".repeat(100);
    let table: [(&str, Vec<u8>); 12] = [
        ("a word", b"ride".to_vec()),
        ("half an object", b"{\"pickup\":".to_vec()),
        ("two values", b"{} {}".to_vec()),
        ("NaN", br#"{"pickup":{"lat":NaN,"lng":0}}"#.to_vec()),
        ("Infinity", br#"{"pickup":{"lat":-Infinity,"lng":0}}"#.to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("no UTF-8", b"{\"notes\":\"\xff\xfe\"}".to_vec()),
        ("UTF-16", b"\xff\xfe{\x00}\x00".to_vec()),
        ("a lone surrogate", br#"{"notes":"\ud800"}"#.to_vec()),
        ("a key twice", br#"{"category":"economy","category":"moto"}"#.to_vec()),
        ("20,000 lists", deep.into_bytes()),
        ("100 objects", object.into_bytes()),
    ];
    for (what, body) in table {
        let call = world.call(Method::POST, "/v1/rides").token(&token);
        let answer = call.bytes("application/json", body).await;
        assert_eq!(answer.problem(400), "malformed", "{what}");
    }
    let login = world.call(Method::POST, "/v1/auth/login").bytes("application/json", "x").await;
    assert_eq!(login.problem(400), "malformed");
    world.call(Method::GET, "/health").empty().await.good(200);
    world.stop().await;
}

#[actix_web::test]
async fn wrong_fields_are_named_all_at_once() {
    let world = World::start().await;
    let ana = world.passenger().await;
    let mut body = ride_request();
    body["pickup"]["lat"] = json!(90.1);
    body["dropoff"]["lng"] = json!("-46");
    body["notes"] = json!("a\u{0}b");
    body["fare"] = json!("0.01");
    body["role"] = json!("admin");
    let refused = world.post(ana, "/v1/rides", &body).await;
    let expected = [
        "pickup.lat: out_of_range",
        "dropoff.lng: wrong_type",
        "notes: invalid_character",
        "fare: unknown_field",
        "role: unknown_field",
    ];
    assert_eq!(refused.faults(), expected);
    assert!(!refused.text.contains("0.01"), "what was sent is not repeated");
    let token = world.token(ana);
    let huge = r#"{"pickup":{"lat":1e999,"lng":0}}"#;
    let call = world.call(Method::POST, "/v1/rides").token(&token);
    let refused = call.bytes("application/json", huge).await;
    assert_eq!(refused.faults(), ["pickup.lat: out_of_range"]);
    let refused = world.call(Method::POST, "/v1/rides").token(&token).empty().await;
    assert_eq!(refused.faults().len(), 4, "an empty body lacks every field");
    let refused = world.post(ana, "/v1/rides", &json!([1])).await;
    assert_eq!(refused.faults(), [": wrong_type"]);
    let mut later = ride_request();
    later["scheduled_at"] = json!("2030-01-01T00:00:00Z");
    let refused = world.post(ana, "/v1/rides", &later).await;
    assert_eq!(refused.faults(), ["scheduled_at: unsupported"]);
    let register = json!({"role": "driver", "name": "\u{202e}", "email": "a@b", "phone": "119",
        "cpf": "111.111.111-11", "password": "short"});
    let refused = world.call(Method::POST, "/v1/auth/register").json(&register).await;
    let expected = [
        "name: invalid_character",
        "email: invalid_format",
        "phone: invalid_format",
        "cpf: invalid_check_digits",
        "password: out_of_range",
    ];
    assert_eq!(refused.faults(), expected);
    world.stop().await;
}

#[actix_web::test]
async fn bodies_are_small_json_and_not_packed() {
    let world = World::start().await;
    let token = world.token(world.passenger().await);
    let call = || world.call(Method::POST, "/v1/rides").token(&token);
    let large = format!("{{\"notes\":\"{}\"}}", "x".repeat(66_000));
    assert_eq!(call().bytes("application/json", large).await.problem(413), "too_large");
    let fits = format!("{{\"notes\":\"{}\"}}", "x".repeat(65_000));
    assert_eq!(call().bytes("application/json", fits).await.problem(422), "invalid");
    for kind in ["text/plain", "application/xml", "application/json; charset=latin1"] {
        let refused = call().bytes(kind, ride_request().to_string()).await;
        assert_eq!(refused.problem(415), "unsupported_media_type", "{kind}");
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&vec![b' '; 10_000_000]).expect("written");
    let packed = packed.finish().expect("packed");
    let bomb = call().header("Content-Encoding", "gzip").bytes("application/json", packed).await;
    assert_eq!(bomb.problem(415), "unsupported_media_type");
    world.stop().await;
}

#[actix_web::test]
async fn paths_and_methods_that_are_none_are_refused_and_make_no_series() {
    let world = World::start().await;
    let ana = world.passenger().await;
    for path in ["/", "/v1", "/v2/me", "/v1/rides/1/accept/2", "/debug", "/v1/../etc/passwd"] {
        let answer = world.get(ana, path).await;
        assert_eq!(answer.problem(404), "not_found", "{path}");
        assert_eq!(answer.json()["detail"], "there is nothing at this path", "{path}");
    }
    for path in ["/v1/rides/1", "/v1/rides/..%2f", "/v1/rides/0199AAAABBBB7CCC8DDDEEEEEEEEEEEE"] {
        assert_eq!(world.get(ana, path).await.problem(404), "not_found", "{path}");
    }
    let wrong = world.call(Method::DELETE, "/v1/rides").empty().await;
    assert_eq!(wrong.problem(405), "method_not_allowed");
    assert_eq!(wrong.header("allow"), "POST, GET");
    let over = world.call(Method::POST, "/v1/me").token(&world.token(ana));
    let over = over.header("X-HTTP-Method-Override", "GET").empty().await;
    assert_eq!(over.problem(405), "method_not_allowed");
    for number in 0..100 {
        world.call(Method::GET, &format!("/odd/{number}")).empty().await.problem(404);
    }
    let metrics = world.call(Method::GET, "/metrics").empty().await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(
        metrics.text.contains("http_requests_total{endpoint=\"unmatched\",status=\"404\"} 106")
    );
    assert!(metrics.text.contains("endpoint=\"/v1/rides/{id}\",status=\"404\"} 3"));
    assert!(!metrics.text.contains("odd"));
    world.stop().await;
}

#[actix_web::test]
async fn an_answer_carries_its_request_id_and_the_fixed_headers() {
    let origins = r#"["https://app.example.com"]"#;
    let world = World::with(&[("http.allowed_origins", origins)]).await;
    let call = || world.call(Method::GET, "/health");
    let echoed = call().header("X-Request-ID", "order-7").header("X-Trace-ID", "t.1").empty().await;
    assert_eq!((echoed.header("x-request-id"), echoed.header("x-trace-id")), ("order-7", "t.1"));
    for bad in ["with blanks", &"i".repeat(129)] {
        let made = call().header("X-Request-ID", bad).empty().await;
        let id = made.header("x-request-id");
        assert_eq!(uuid::Uuid::parse_str(id).expect("a UUID").get_version_num(), 4);
    }
    let fixed = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-xss-protection", "1; mode=block"),
        ("strict-transport-security", "max-age=31536000"),
        ("cache-control", "no-store"),
    ];
    let lost = world.call(Method::GET, "/nowhere").empty().await;
    for answer in [&echoed, &lost] {
        for (name, value) in fixed {
            assert_eq!(answer.header(name), value);
        }
    }
    let ours = call().header("Origin", "https://app.example.com").empty().await;
    assert_eq!(ours.header("access-control-allow-origin"), "https://app.example.com");
    let theirs = call().header("Origin", "https://app.example.com.evil.test").empty().await;
    assert_eq!(theirs.header("access-control-allow-origin"), "");
    let asked =
        world.call(Method::OPTIONS, "/v1/rides").header("Origin", "https://app.example.com");
    let asked = asked.header("Access-Control-Request-Method", "POST").empty().await;
    assert_eq!((asked.status, asked.header("access-control-allow-methods")), (204, "POST, GET"));
    let ready = world.call(Method::GET, "/ready").empty().await.good(200);
    assert_eq!(ready, json!({"status": "ready"}));
    world.stop().await;
}

#[actix_web::test]
async fn figures_with_an_address_of_their_own_are_not_served_to_the_public() {
    let world = World::with(&[("metrics.listen", "127.0.0.1:0")]).await;
    let public = world.call(Method::GET, "/metrics").empty().await;
    assert_eq!(public.problem(404), "not_found");
    world.stop().await;
}
