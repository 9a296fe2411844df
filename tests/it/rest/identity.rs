//! Who may call what: tokens, roles, scopes, limits, and what strangers are told of others.

use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::http::Method;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use ibora::actors::Caller;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::World;

/// As the world's configuration says.
const KEY: &[u8] = b"a key that only tests use, 32 bytes long";

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn claims(who: Caller) -> Value {
    json!({
        "iss": "ibora", "aud": "ibora-api", "sub": who.user, "role": who.role,
        "scopes": who.role.scopes(), "iat": now_s(), "exp": now_s() + 600, "jti": Uuid::new_v4(),
    })
}

fn signed(claims: &Value, header: &Header, key: &[u8]) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(key)).expect("signed")
}

fn ours() -> Header {
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some("at+jwt".to_owned());
    header
}

/// A token with this header and no signature.
fn unsigned(header: &str, claims: &Value) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.", part(header), part(&claims.to_string()))
}

#[actix_web::test]
async fn forged_and_stale_tokens_are_no_proof() {
    let world = World::start().await;
    let ana = world.passenger().await;
    let with = |name: &str, value: Value| {
        let mut claims = claims(ana);
        claims[name] = value;
        signed(&claims, &ours(), KEY)
    };
    let good = signed(&claims(ana), &ours(), KEY);
    world.call(Method::GET, "/v1/me").token(&good).empty().await.good(200);
    let mut keyed = ours();
    keyed.kid = Some("../../dev/null".to_owned());
    let hs384 = Header { alg: Algorithm::HS384, ..ours() };
    let plain = Header { typ: Some("JWT".to_owned()), ..ours() };
    let table = [
        ("alg none", unsigned(r#"{"typ":"at+jwt","alg":"none"}"#, &claims(ana))),
        ("alg None", unsigned(r#"{"typ":"at+jwt","alg":"None"}"#, &claims(ana))),
        ("our alg, no signature", unsigned(r#"{"typ":"at+jwt","alg":"HS256"}"#, &claims(ana))),
        ("another key", signed(&claims(ana), &ours(), b"another key that is as long as ours!")),
        ("an empty key", signed(&claims(ana), &ours(), b"")),
        ("another algorithm", signed(&claims(ana), &hs384, KEY)),
        ("another type", signed(&claims(ana), &plain, KEY)),
        ("a key of its own naming", signed(&claims(ana), &keyed, KEY)),
        ("another audience", with("aud", json!("somebody-else"))),
        ("another issuer", with("iss", json!("somebody-else"))),
        ("expired", with("exp", json!(now_s() - 60))),
        ("a role nobody has", with("role", json!("root"))),
        ("a changed claim", {
            let (head, rest) = good.split_once('.').expect("parts");
            let signature = rest.split_once('.').expect("parts").1;
            let mut claims = claims(ana);
            claims["role"] = json!("admin");
            format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()))
        }),
        ("100 KB", "a".repeat(6_000)),
        ("nothing", String::new()),
    ];
    for (what, token) in table {
        let answer = world.call(Method::GET, "/v1/me").token(&token).empty().await;
        assert_eq!(answer.problem(401), "unauthenticated", "{what}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{what}");
    }
    let form = json!({"role": "passenger", "name": "Bia", "email": "bia@example.com",
        "phone": "+5511912345678", "cpf": "52998224725", "password": "correct horse battery"});
    let made = world.call(Method::POST, "/v1/auth/register").json(&form).await.good(201);
    let refresh = made["tokens"]["refresh_token"].as_str().expect("a token");
    let answer = world.call(Method::GET, "/v1/me").token(refresh).empty().await;
    assert_eq!(answer.problem(401), "unauthenticated", "a refresh token is no access token");
    world.stop().await;
}

/// Path and method of every described route that wants a token, with its roles.
async fn guarded(world: &World) -> Vec<(Method, String, Vec<String>)> {
    let document = world.call(Method::GET, "/openapi.json").empty().await.good(200);
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let Some(roles) = operation["x-roles"].as_array() else { continue };
            let roles = roles.iter().map(|role| role.as_str().expect("a role").to_owned());
            let method = method.to_uppercase().parse().expect("a method");
            let path = path.replace("{id}", &Uuid::now_v7().to_string());
            routes.push((method, path, roles.collect()));
        }
    }
    routes
}

#[actix_web::test]
async fn every_guarded_route_refuses_strangers_other_roles_and_lesser_tokens() {
    let world = World::start().await;
    let people = [world.passenger().await, world.driver().await, world.admin().await];
    let routes = guarded(&world).await;
    assert!(routes.len() >= 20, "{routes:?}");
    for (method, path, roles) in routes {
        let call = || world.call(method.clone(), &path);
        let stranger = call().empty().await;
        assert_eq!(stranger.problem(401), "unauthenticated", "{method} {path}");
        assert_eq!(stranger.header("www-authenticate"), "Bearer");
        for who in people {
            let mut none = claims(who);
            none["scopes"] = json!([]);
            let answer = call().token(&signed(&none, &ours(), KEY)).empty().await;
            assert_eq!(answer.problem(403), "insufficient_scope", "{method} {path}");
            if roles.iter().any(|role| role == who.role.as_str()) {
                continue;
            }
            let answer = call().token(&world.token(who)).empty().await;
            let code = answer.problem(403);
            assert!(["forbidden", "insufficient_scope"].contains(&&*code), "{method} {path}");
        }
    }
    let passenger = people[0];
    let mut reader = claims(passenger);
    reader["scopes"] = json!(["read"]);
    let reader = signed(&reader, &ours(), KEY);
    world.call(Method::GET, "/v1/rides").token(&reader).empty().await.good(200);
    let order = super::ride_request();
    let answer = world.call(Method::POST, "/v1/rides").token(&reader).json(&order).await;
    assert_eq!(answer.problem(403), "insufficient_scope");
    assert!(answer.json()["detail"].as_str().is_some_and(|text| text.contains("`write`")));
    world.stop().await;
}

#[actix_web::test]
async fn anothers_ride_is_not_there() {
    let world = World::start().await;
    let (ana, bia) = (world.passenger().await, world.passenger().await);
    let (dan, eva) = (world.drivers_online(1).await[0], world.driver().await);
    let path = world.offered_ride(ana, dan).await;
    world.post(dan, &format!("{path}/accept"), &json!({})).await.good(200);
    let nowhere = format!("/v1/rides/{}", Uuid::now_v7());
    for stranger in [bia, eva] {
        for suffix in ["", "/timeline"] {
            let anothers = world.get(stranger, &format!("{path}{suffix}")).await;
            assert_eq!(anothers.problem(404), "not_found");
            let (mut told, mut nobodys) =
                (anothers.json(), world.get(stranger, &format!("{nowhere}{suffix}")).await.json());
            told["request_id"] = Value::Null;
            nobodys["request_id"] = Value::Null;
            assert_eq!(told, nobodys, "no telling another's from none");
        }
        let cancel = json!({"reason": "other"});
        let refused = world.post(stranger, &format!("{path}/cancel"), &cancel).await;
        assert_eq!(refused.problem(404), "not_found");
    }
    assert_eq!(
        world.post(eva, &format!("{path}/arrive"), &json!({})).await.problem(404),
        "not_found"
    );
    let listed = world.get(bia, "/v1/rides").await.good(200);
    assert_eq!(listed, json!({"items": [], "next_cursor": null}));
    assert_eq!(world.get(dan, &path).await.good(200)["pin"], Value::Null);
    assert_eq!(world.get(world.admin().await, &path).await.good(200)["pin"], Value::Null);
    world.stop().await;
}

#[actix_web::test]
async fn who_asks_too_often_waits() {
    let settings = [
        ("limits.enabled", "true"),
        ("limits.user_per_s", "1"),
        ("limits.user_burst", "3"),
        ("limits.anonymous_per_min", "5"),
        ("limits.auth_per_min", "4"),
    ];
    let world = World::with(&settings).await;
    let (ana, bia) = (world.passenger().await, world.passenger().await);
    let mut statuses = Vec::new();
    for answer in join_all((0..12).map(|_| world.get(ana, "/v1/rides"))).await {
        if answer.status == 429 {
            assert_eq!(answer.problem(429), "rate_limited");
            assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|s| s >= 1));
        }
        statuses.push(answer.status);
    }
    let good = statuses.iter().filter(|status| **status == 200).count();
    assert!(good >= 3 && statuses.contains(&429), "{statuses:?}");
    world.get(bia, "/v1/rides").await.good(200);

    let login = json!({"email": "ana@example.com", "password": "not the password"});
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(world.call(Method::POST, "/v1/auth/login").json(&login).await.status);
    }
    assert!(statuses.starts_with(&[401, 401, 401, 401, 429]), "{statuses:?}");
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(world.call(Method::GET, "/v1/me").token("guess").empty().await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    for _ in 0..20 {
        world.call(Method::GET, "/health").empty().await.good(200);
    }
    let metrics = world.call(Method::GET, "/metrics").empty().await.text;
    for limit in ["user", "auth_address", "address"] {
        assert!(metrics.contains(&format!("ibora_rate_limited_total{{limit=\"{limit}\"}}")));
    }
    assert!(metrics.contains("\nibora_login_failures_total 4\n"));
    world.stop().await;
}

#[actix_web::test]
async fn behind_a_trusted_proxy_each_address_has_its_own_limits() {
    let limits = [
        ("limits.enabled", "true"),
        ("limits.anonymous_per_min", "2"),
        ("limits.auth_per_min", "2"),
    ];
    for (proxies, expected) in [("127.0.0.1", 401), ("", 429)] {
        let mut settings = limits.to_vec();
        settings.push(("http.trusted_proxies", proxies));
        let world = World::with(&settings).await;
        let guess = async |from: &str| {
            let call = world.call(Method::GET, "/v1/me").header("X-Forwarded-For", from);
            call.token("guess").empty().await.status
        };
        let login = async |from: &str, email: &str| {
            let call = world.call(Method::POST, "/v1/auth/login").header("X-Forwarded-For", from);
            call.json(&json!({"email": email, "password": "not the password"})).await.status
        };
        for at in 0..2 {
            assert_eq!(guess("203.0.113.5, 198.51.100.7").await, 401);
            assert_eq!(login("203.0.113.5, 198.51.100.7", &format!("{at}@example.com")).await, 401);
        }
        assert_eq!(
            guess("203.0.113.6, 198.51.100.7").await,
            429,
            "what a client writes is nothing"
        );
        assert_eq!(login("198.51.100.7", "ana@example.com").await, 429);
        assert_eq!(guess("198.51.100.8").await, expected, "trusts `{proxies}`");
        assert_eq!(login("198.51.100.8", "bia@example.com").await, expected);
        world.stop().await;
    }
}

#[actix_web::test]
async fn sessions_of_people_begin_rotate_and_end() {
    let world = World::start().await;
    let auth = async |path: &str, body: Value| {
        world.call(Method::POST, &format!("/v1/auth/{path}")).json(&body).await
    };
    let form = json!({"role": "passenger", "name": "Bia", "email": "bia@example.com",
        "phone": "+5511912345678", "cpf": "529.982.247-25", "password": "correct horse battery"});
    let made = auth("register", form.clone()).await.good(201);
    assert_eq!(auth("register", form.clone()).await.problem(409), "account_exists");
    assert!(made["user"].get("cpf").is_none());
    let mut admin = form;
    admin["role"] = json!("admin");
    admin["email"] = json!("eve@example.com");
    assert_eq!(auth("register", admin).await.faults(), ["role: not_allowed"]);
    let wrong = json!({"email": "bia@example.com", "password": "wrong horse battery"});
    assert_eq!(auth("login", wrong).await.problem(401), "invalid_credentials");

    let first = json!({"refresh_token": made["tokens"]["refresh_token"]});
    let next = auth("refresh", first.clone()).await.good(200);
    let again = auth("refresh", first).await.good(200);
    assert_eq!(
        next["tokens"]["refresh_token"], again["tokens"]["refresh_token"],
        "a lost answer is told again"
    );
    let token = next["tokens"]["access_token"].as_str().expect("a token");
    let ticket = world.call(Method::POST, "/v1/session-tickets").token(token).empty().await;
    let ticket = ticket.good(201);
    assert_eq!(ticket["expires_in"], 30);
    let last = json!({"refresh_token": next["tokens"]["refresh_token"]});
    auth("logout", last.clone()).await.good(200);
    assert_eq!(auth("refresh", last).await.problem(401), "invalid_credentials");
    world.stop().await;
}
