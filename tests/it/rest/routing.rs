//! Prices from a server of routes that takes its time: others are served meanwhile.

use std::net::SocketAddr;

use actix_web::http::Method;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::from_to;
use crate::world::World;

const DRIVE: &str = r#"{"code": "Ok", "routes": [{"distance": 4100.0, "duration": 600.0}]}"#;

/// A server of routes that tells of each request, and answers once it may.
async fn server(
    asked: mpsc::UnboundedSender<String>,
    may_answer: watch::Receiver<bool>,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (asked, mut may_answer) = (asked.clone(), may_answer.clone());
            tokio::spawn(async move {
                let mut line = String::new();
                BufReader::new(&mut stream).read_line(&mut line).await.ok();
                asked.send(line).ok();
                may_answer.wait_for(|may| *may).await.ok();
                let length = DRIVE.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                stream.write_all(format!("{head}{DRIVE}").as_bytes()).await.ok();
            });
        }
    });
    address
}

#[actix_web::test]
async fn who_waits_for_a_server_of_routes_holds_up_nobody_and_asks_it_once() {
    let (asked, mut requests) = mpsc::unbounded_channel();
    let (let_answer, may_answer) = watch::channel(false);
    let address = server(asked, may_answer).await;
    let url = format!("http://{address}");
    let settings = [
        ("routing.kind", "osrm"),
        ("routing.osrm_url", url.as_str()),
        ("routing.osrm_timeout_ms", "10000"),
    ];
    let world = World::with(&settings).await;
    let passenger = world.passenger().await;
    let form = from_to();
    let estimate = world.post(passenger, "/v1/rides/estimate", &form);
    let meanwhile = async {
        let request = requests.recv().await.expect("the server is asked");
        assert!(request.starts_with("GET /route/v1/driving/"), "{request}");
        world.call(Method::GET, "/health").empty().await.good(200);
        let_answer.send(true).expect("the server listens");
    };
    let (priced, ()) = tokio::join!(estimate, meanwhile);
    let quotes = priced.good(200)["quotes"].clone();
    let quotes = quotes.as_array().expect("quotes");
    assert!(quotes.len() > 1, "{quotes:?}");
    assert!(quotes.iter().all(|quote| quote["distance_m"] == 4100), "{quotes:?}");
    assert!(requests.try_recv().is_err(), "one trip, asked for once");
    world.stop().await;
}
