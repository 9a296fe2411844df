//! The client of the Pix provider, against HTTPS servers of its own that fail in every way: nothing
//! is paid twice, no answer is believed that is none, and nobody asks more than was agreed.

mod check;
mod desk;
mod limits;
mod lists;
mod lost;
mod papers;
mod simulated;
mod token;
mod trust;

use ibora::obs::Metrics;
use ibora::pix::client::{Bounds, IdentityFiles, Provider, ProviderOptions};
use secrecy::SecretString;

use self::desk::{Asked, Desk, Reply};
use self::papers::Papers;

use crate::machine::EVER;

/// A provider and a client that trust each other.
struct Scene {
    desk: Desk,
    provider: Provider,
    papers: Papers,
}

impl Scene {
    /// `script` answers all but requests for tokens.
    async fn open(script: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        Self::within(bounds(), script).await
    }

    async fn within(
        bounds: Bounds,
        mut script: impl FnMut(&Asked) -> Reply + Send + 'static,
    ) -> Self {
        let script = move |asked: &Asked| {
            if asked.is_token() { Reply::token(3600) } else { script(asked) }
        };
        Self::whole(bounds, script).await
    }

    /// `script` answers everything.
    async fn whole(bounds: Bounds, script: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let papers = Papers::new();
        let desk = Desk::open(&papers, &papers.issue("127.0.0.1", 2999), script).await;
        let ours = papers.issue("ibora", 2999);
        let both = format!("{}{}", ours.pem(), ours.key_pem());
        let certificate = papers.file("ours.pem", both.as_bytes());
        let identity = IdentityFiles { certificate, key: None, password: None };
        let options = options(&desk, &papers, identity, bounds);
        let provider = Provider::new(&options, Metrics::new()).expect("a client");
        Self { desk, provider, papers }
    }
}

fn options(
    desk: &Desk,
    papers: &Papers,
    identity: IdentityFiles,
    bounds: Bounds,
) -> ProviderOptions {
    ProviderOptions {
        base_url: desk.url(),
        client_id: SecretString::from("client"),
        client_secret: SecretString::from("secret"),
        identity,
        ca: Some(papers.authority_file()),
        bounds,
    }
}

/// Bounds that only what is tested meets.
fn bounds() -> Bounds {
    Bounds {
        connect_timeout: EVER,
        call_timeout: EVER,
        retries_max: 2,
        retry_permille: 100,
        reads_per_s: 1000,
        writes_per_s: 1000,
        burst: 1000,
        calls_max: 64,
        failures_max: 1000,
        pause: EVER,
        answer_bytes_max: 1 << 20,
    }
}
