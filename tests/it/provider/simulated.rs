//! The client against the simulated provider: the same bytes, books of their own to compare with.

use std::path::PathBuf;

use ibora::obs::Metrics;
use ibora::pix::client::{
    Carried, ChargeErrand, IdentityFiles, Provider, ProviderOptions, ReceivedFilter, RefundErrand,
    SendErrand,
};
use ibora::pix::simulator::{Rules, Simulator, SimulatorOptions};
use ibora::pix::wire::{ChargeStatus, NewRefund, NewWebhook, SendStatus};
use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, RefundId, SendId, Txid};
use ibora_domain::provider::{Ending, Errand, Hindrance, Outcome, TlsFault, Window};
use ibora_domain::units::{Millis, UnixMillis};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::lost::{QUICK, charge, key, send};
use super::{EVER, bounds};

use crate::machine::http;

const WINDOW: Window = Window { from: UnixMillis(0), to: UnixMillis(4_000_000_000_000) };

/// A simulator, a client of it, and an address for its callbacks.
struct Bank {
    simulator: Simulator,
    provider: Provider,
    dir: PathBuf,
    callbacks: JoinHandle<()>,
}

impl Bank {
    async fn open() -> Self {
        let dir = std::env::temp_dir().join(format!("ibora-it-{}", Uuid::now_v7().simple()));
        let rules = Rules { settle_after: Millis(0), ..Rules::default() };
        let options = SimulatorOptions { rules, ..SimulatorOptions::new(dir.clone()) };
        let simulator = Simulator::start(options).await.expect("it starts");
        let provider = client(&simulator, simulator.certificates().client_p12.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let callbacks = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // What comes is one small request; the answer is the same whatever it says.
                if stream.read(&mut [0; 4096]).await.is_ok_and(|bytes| bytes > 0) {
                    let answer =
                        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                    stream.write_all(answer.as_bytes()).await.ok();
                }
            }
        });
        let bank = Self { simulator, provider, dir, callbacks };
        let webhook = NewWebhook { url: format!("http://{address}/webhooks?ignorar=") };
        let done = bank.provider.put_webhook(&key("ibora@example.com"), &webhook, true).await;
        assert_eq!(done, Outcome::Done(()));
        bank.tell("deposit", json!({"value": "1000.00"})).await;
        bank
    }

    async fn tell(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/control/{path}", self.simulator.control_url());
        let mut answer = http().post(url).send_json(&body).await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {:?}", answer.body().await);
        answer.json().await.unwrap_or_default()
    }

    async fn books(&self) -> Value {
        let url = format!("{}/control/books", self.simulator.control_url());
        let mut answer = http().get(url).send().await.expect("an answer");
        answer.json().limit(1 << 20).await.expect("books")
    }

    async fn fails(&self, method: &str, path: &str, fault: &Value) {
        let form = json!({"on": "api", "method": method, "path": path, "fault": fault});
        self.tell("faults", form).await;
    }

    async fn paid(&self, txid: &Txid) -> EndToEndId {
        let paid = self.tell("pay", json!({"txid": txid})).await;
        EndToEndId::parse(paid["endToEndId"].as_str().expect("a number")).expect("a number")
    }

    async fn carried<C: Carried>(&self, carried: &C) -> C::Found {
        let mut errand = Errand::new(carried.order(), QUICK, UnixMillis(0));
        match self.provider.carry(&mut errand, carried, EVER).await {
            Some(Ending::Done(found)) => found,
            Some(Ending::Refused(error)) => panic!("{error}"),
            Some(Ending::Mismatched(_)) => panic!("something else"),
            None => panic!("no end: {:?}", errand.obstacle()),
        }
    }

    /// Ends the test: the books must be sound.
    async fn close(self) {
        assert_eq!(self.books().await["consistent"], true);
        self.callbacks.abort();
        self.simulator.stop().await;
        std::fs::remove_dir_all(&self.dir).expect("its folder goes");
    }
}

fn client(simulator: &Simulator, certificate: PathBuf) -> Provider {
    let options = ProviderOptions {
        base_url: simulator.api_url(),
        client_id: SecretString::from("Client_Id_simulator"),
        client_secret: SecretString::from("Client_Secret_simulator"),
        identity: IdentityFiles { certificate, key: None, password: None },
        ca: Some(simulator.certificates().ca.clone()),
        bounds: bounds(),
    };
    Provider::new(&options, Metrics::new()).expect("a client")
}

fn refund(pix: EndToEndId, number: u128) -> RefundErrand {
    let refund = NewRefund { value: Centavos(500), nature: None, message: None };
    RefundErrand { pix, id: RefundId::from(Uuid::from_u128(number)), refund }
}

#[actix::test]
async fn money_comes_in_goes_back_and_goes_out() {
    let bank = Bank::open().await;
    let provider = &bank.provider;
    let made = bank.carried(&charge()).await;
    assert!(made.copy_and_paste.is_some() && made.status == ChargeStatus::Active);
    let pix = bank.paid(&made.txid).await;
    let paid = provider.charge(&made.txid).await.done().expect("the charge");
    assert_eq!(paid.status, ChargeStatus::Completed);
    let received = provider.received(&pix).await.done().expect("the Pix");
    assert_eq!((received.value, received.txid.as_ref()), (Centavos(2000), Some(&made.txid)));
    let refunded = bank.carried(&refund(pix.clone(), 1)).await;
    assert_eq!(provider.refund(&pix, &refunded.id).await.done().expect("it").value, Centavos(500));
    let filter = ReceivedFilter::Of(made.txid.clone());
    let listed = provider.received_within(WINDOW, &filter).all().await.done().expect("a list");
    assert_eq!(listed.iter().filter_map(|row| row.read()).count(), 1);
    let payout = bank.carried(&send()).await;
    let sent = provider.sent_as(&payout.pix).await.done().expect("the payout");
    assert_eq!((sent.status, sent.value), (SendStatus::Done, Centavos(1550)));
    let balance = provider.balance().await.done().expect("the balance").available;
    assert_eq!(bank.books().await["balance"], balance.0);
    assert!(provider.webhook(&key("ibora@example.com")).await.done().is_some());
    assert_eq!(provider.charges(WINDOW, None).all().await.done().map(|all| all.len()), Some(1));
    assert_eq!(provider.sent_within(WINDOW).all().await.done().map(|all| all.len()), Some(1));
    bank.close().await;
}

#[actix::test]
async fn whatever_is_lost_the_provider_has_each_order_once() {
    let bank = Bank::open().await;
    let faults = [
        json!({"kind": "drop_before"}),
        json!({"kind": "drop_after"}),
        json!({"kind": "status", "status": 500, "after": true}),
        json!({"kind": "status", "status": 503, "after": false}),
        json!({"kind": "status", "status": 429, "after": true}),
        json!({"kind": "truncate"}),
        json!({"kind": "unknown_status"}),
    ];
    for (fault, number) in faults.iter().zip(1_u128..) {
        let id = Uuid::from_u128(number);
        bank.fails("PUT", "/v2/cob/*", fault).await;
        bank.fails("PUT", "/v2/pix/*/devolucao/*", fault).await;
        bank.fails("PUT", "/v3/gn/pix/*", fault).await;
        let made = bank.carried(&ChargeErrand { txid: Txid::from(id), ..charge() }).await;
        let pix = bank.paid(&made.txid).await;
        bank.carried(&refund(pix, number)).await;
        bank.carried(&SendErrand { id: SendId::from(id), ..send() }).await;
    }
    let books = bank.books().await;
    let count = |rows: &str| books[rows].as_array().map(Vec::len);
    assert_eq!((count("charges"), count("payouts")), (Some(faults.len()), Some(faults.len())));
    let times = i64::try_from(faults.len()).expect("few");
    // What came in, less what went back and out.
    assert_eq!(books["balance"], 100_000 + times * (2000 - 500 - 1550), "{books}");
    bank.close().await;
}

#[actix::test]
async fn rights_and_certificates_are_told_apart() {
    let bank = Bank::open().await;
    assert!(bank.provider.balance().await.done().is_some());
    bank.tell("tokens", json!({"revoke": true})).await;
    assert!(bank.provider.balance().await.done().is_some(), "a new token was asked for");
    bank.tell("tokens", json!({"scopes": "cob.read"})).await;
    let Outcome::Refused(error) = bank.provider.balance().await else {
        panic!("it has no right");
    };
    assert!(error.is_insufficient_scope(), "{error:?}");
    let over = bank.simulator.certificates().expired_client.path.clone();
    let outcome = client(&bank.simulator, over).balance().await;
    let refused = Hindrance::Tls(TlsFault::OursRefused);
    assert_eq!(outcome, Outcome::NotSent(Hindrance::Token(Box::new(refused))));
    bank.close().await;
}
