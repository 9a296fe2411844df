//! What is said over a session is what `docs/asyncapi.json` says: every frame that a test reads is
//! compared with it, and every frame that the document allows is taken by the engine.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::client::Client;
use crate::world::World;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../docs/asyncapi.json")).expect("JSON")
});
static OF_ENGINE: LazyLock<Validator> = LazyLock::new(|| validator("ServerFrame"));
static OF_CLIENT: LazyLock<Validator> = LazyLock::new(|| validator("ClientFrame"));

fn validator(name: &str) -> Validator {
    let schema = json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": DOCUMENT["components"],
    });
    jsonschema::validator_for(&schema).expect("a schema")
}

/// A frame of the engine must fit.
pub(super) fn expect_of_engine(frame: &Value) {
    let faults: Vec<_> = OF_ENGINE.iter_errors(frame).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{frame} does not fit docs/asyncapi.json: {faults:?}");
}

/// The examples of the messages that one side sends: `t` and the frame.
fn examples(action: &str) -> Vec<Value> {
    let operations = DOCUMENT["operations"].as_object().expect("operations").values();
    let of = |operation: &&Value| operation["action"] == action;
    let mut found = Vec::new();
    for operation in operations.filter(of) {
        for message in operation["messages"].as_array().expect("messages") {
            let name = message["$ref"].as_str().and_then(|path| path.rsplit('/').next());
            let message = &DOCUMENT["components"]["messages"][name.expect("a name")];
            let examples = message["examples"].as_array().expect("examples of each message");
            found.extend(examples.iter().map(|example| example["payload"].clone()));
        }
    }
    assert!(found.len() >= 8, "{action}: {found:?}");
    found
}

#[actix_web::test]
async fn every_frame_that_the_description_shows_is_understood() {
    let world = World::with(&[("session.cmd_burst", "1000"), ("session.tel_burst", "1000")]).await;
    let (driver, passenger) = (world.driver().await, world.passenger().await);
    let (mut car, mut phone) =
        (Client::open(&world, driver).await, Client::open(&world, passenger).await);
    for example in examples("receive") {
        assert!(OF_CLIENT.is_valid(&example), "{example}");
        // These need a fresh token, a stream or a number that this session has.
        if matches!(example["t"].as_str(), Some("hello" | "auth" | "ack")) {
            continue;
        }
        let of_driver = example["op"].as_str().is_some_and(|op| op.starts_with("driver."));
        let of_car = of_driver || example["t"] == "tel";
        let client = if of_car { &mut car } else { &mut phone };
        client.send(&example).await;
        client.send(&json!({"t": "ping", "ts": 1})).await;
        let answer = client.until("an answer", |frame| frame["t"] != "evt").await;
        let code = answer["code"].as_str().unwrap_or_default();
        assert!(!matches!(code, "malformed"), "{example} is answered by {answer}");
    }
    world.stop().await;
}

#[test]
fn what_a_client_may_not_send_does_not_fit() {
    let wrong = [
        json!({"t": "ack"}),
        json!({"t": "ack", "seq": -1}),
        json!({"t": "ack", "seq": 1, "more": 1}),
        json!({"t": "hello", "v": 1}),
        json!({"t": "nope"}),
        json!({"t": "cmd", "op": "ride.accept"}),
    ];
    for frame in wrong {
        assert!(!OF_CLIENT.is_valid(&frame), "{frame}");
    }
}
