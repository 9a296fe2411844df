//! The provider of Pix that an engine works with: the configured one, or, where there is none and
//! nothing real could be at stake, a simulated one in the same process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ibora_domain::pix::PixKey;
use ibora_domain::units::Millis;
use secrecy::{ExposeSecret, SecretString};
use tokio::task::AbortHandle;

use super::settings::{self, provider_options};
use super::{Node, StartError, callbacks, jobs};
use crate::actors::{CarryEffect, Dispatch};
use crate::config::Config;
use crate::effects::{Effects, Keys};
use crate::jobs::{JobParts, Jobs};
use crate::journal::Journal;
use crate::obs::Metrics;
use crate::pix::client::{IdentityFiles, Provider, ProviderOptions};
use crate::pix::inbound::Callbacks;
use crate::pix::simulator::{Rules, Simulator, SimulatorOptions};
use crate::pix::wire::Personal;

/// Our key at the simulated provider.
const SIMULATED_KEY: &str = "ibora@example.com";

/// The provider, if any, and what waits to be carried to it.
pub(super) struct Pix {
    effects: Effects,
    provider: Option<(Provider, PixKey)>,
    simulator: Option<Simulator>,
    /// What the simulated provider proves itself with when it calls.
    own_secret: SecretString,
    metrics: Arc<Metrics>,
}

/// What of it runs beside the engine.
pub(super) struct Running {
    effects: Option<AbortHandle>,
    jobs: Option<Jobs>,
    simulator: Option<Simulator>,
}

impl Pix {
    /// Makes the client; starts the simulated provider where that is wanted.
    ///
    /// # Errors
    /// [`StartError`].
    pub(super) async fn open(
        config: &Config,
        node: &Node,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let simulator = match config.simulates_pix() {
            true => {
                let dir = settings::data_dir(config)?.join("psp").join(&node.id);
                Some(simulate(config, &dir).await?)
            }
            false => None,
        };
        let options = match &simulator {
            Some(simulator) => Some(simulated(config, simulator)),
            None => provider_options(config),
        };
        let key = config.pix.key.clone().or_else(|| PixKey::parse(SIMULATED_KEY).ok());
        let provider = match options.zip(key) {
            Some((options, key)) => Some((Provider::new(&options, Arc::clone(metrics))?, key)),
            None => None,
        };
        let effects = Effects::new(Arc::clone(metrics));
        let own_secret = hex::encode(rand::random::<[u8; 32]>()).into();
        Ok(Self { effects, provider, simulator, own_secret, metrics: Arc::clone(metrics) })
    }

    /// What takes callbacks in.
    pub(super) fn callbacks(&self, config: &Config, journal: &Arc<Journal>) -> Arc<Callbacks> {
        let pix = &config.pix;
        let own = self.simulator.is_some().then_some(&self.own_secret);
        let secrets = [pix.webhook_secret.as_ref(), pix.webhook_secret_old.as_ref(), own];
        let secrets: Vec<_> = secrets.into_iter().flatten().cloned().collect();
        callbacks::callbacks(config, &secrets, journal, &self.metrics)
    }

    /// What the actors call. Without a provider nothing is ever charged, so nothing comes.
    pub(super) fn carry(&self) -> CarryEffect {
        self.effects.sender()
    }

    /// Begins to carry out what the actors want, and the jobs around it. The engine listens there.
    pub(super) fn run(
        self,
        config: &Config,
        dispatch: &Arc<Dispatch>,
        listening: SocketAddr,
    ) -> Running {
        let Self { effects, provider, simulator, own_secret, metrics } = self;
        let near = simulator.as_ref().map(|_| jobs::nearby(listening, &own_secret));
        let options = jobs::options(config, jobs::configured(&config.pix).or(near));
        let parts = provider.clone().map(|(provider, key)| JobParts {
            dispatch: Arc::downgrade(dispatch),
            journal: Arc::clone(dispatch.journal()),
            provider,
            key,
            metrics,
            hand: jobs::hand(Arc::downgrade(dispatch)),
            room: effects.room(),
        });
        let owner = owner(config);
        let running = provider.map(|(provider, own)| {
            let keys = Keys { own, owner };
            tokio::spawn(effects.run(provider, keys, Arc::downgrade(dispatch))).abort_handle()
        });
        let jobs = parts.map(|parts| Jobs::start(parts, options));
        Running { effects: running, jobs, simulator }
    }
}

impl Running {
    /// Calls nobody any more. What was under way the next start asks for.
    pub(super) async fn stop(self) {
        drop(self.jobs);
        if let Some(effects) = self.effects {
            effects.abort();
        }
        if let Some(simulator) = self.simulator {
            simulator.stop().await;
        }
    }
}

/// Where the platform's own money goes.
fn owner(config: &Config) -> Option<(PixKey, Personal)> {
    let document = config.pix.owner_document.as_ref();
    // It goes to the provider, which compares it with the key's.
    let document = document.map(|text| Personal::new(text.expose_secret().to_owned()));
    config.pix.owner_key.clone().zip(document)
}

async fn simulate(config: &Config, dir: &Path) -> Result<Simulator, StartError> {
    let rules =
        Rules { pay_after: Some(Millis(config.pix.simulator_pay_after_ms)), ..Rules::default() };
    let options = SimulatorOptions { rules, ..SimulatorOptions::new(dir.to_owned()) };
    let simulator = Simulator::start(options).await?;
    let control = simulator.control_url();
    tracing::warn!(
        control,
        "no provider of Pix is configured: a simulated one takes no real money"
    );
    Ok(simulator)
}

fn simulated(config: &Config, simulator: &Simulator) -> ProviderOptions {
    let certificates = simulator.certificates();
    let credentials = crate::pix::simulator::Credentials::default();
    ProviderOptions {
        base_url: simulator.api_url(),
        client_id: credentials.client_id.into(),
        client_secret: credentials.client_secret.into(),
        identity: IdentityFiles {
            certificate: certificates.client.path.clone(),
            key: None,
            password: None,
        },
        ca: Some(certificates.ca.clone()),
        bounds: settings::provider_bounds(config),
    }
}
