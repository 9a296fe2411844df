//! Effects: calls to the payment provider that actors want made, carried out beside them.
//!
//! `app` hands [`Effects::sender`] to the actors and runs [`Effects::run`]. An effect comes here
//! only after its commit; what comes of it goes back through `Dispatch`. What must hold: an engine
//! that may not act calls nobody; nothing is decided here; an effect that is dropped (a full queue,
//! an end) does no harm, for who wanted it asks again under the same id.

mod confirms;
mod payments;
mod payouts;

use std::sync::{Arc, Weak};

use ibora_domain::machines::{Effect, EffectEnded, PaymentEffect};
use ibora_domain::pix::PixKey;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use confirms::{Confirmer, Confirms, Wanted};

use crate::actors::{CarryEffect, Dispatch};
use crate::obs::{Metrics, failpoint};
use crate::pix::client::Provider;
use crate::pix::wire::Personal;

/// Effects that wait for their turn. Past it they are dropped, and wanted again later.
const WAITING_MAX: usize = 8192;
/// Effects that are carried at once: more than calls, for most of their time is waiting.
const AT_ONCE: usize = 128;

/// Takes effects from the actors, until they are run.
pub struct Effects {
    sender: mpsc::Sender<Effect>,
    waiting: mpsc::Receiver<Effect>,
    confirms: Confirms,
    asked: mpsc::Receiver<Wanted>,
    metrics: Arc<Metrics>,
}

/// Keys of ours.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Passengers pay to it, and drivers are paid from it.
    pub own: PixKey,
    /// Where the platform's own money goes, and whose that is: a CPF or a CNPJ.
    pub owner: Option<(PixKey, Personal)>,
}

/// What carries an effect out.
struct Carrier {
    provider: Provider,
    keys: Keys,
}

impl Effects {
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let (confirms, asked) = Confirms::new(Arc::clone(&metrics));
        Self { sender, waiting, confirms, asked, metrics }
    }

    /// Whether there is room for what leads to more confirmations: they are many when a provider
    /// tells much at once, and wait better where they are recorded.
    #[must_use]
    pub fn room(&self) -> Arc<dyn Fn() -> bool + Send + Sync> {
        let confirms = self.confirms.clone();
        Arc::new(move || confirms.has_room())
    }

    /// What the actors call. Never waits.
    #[must_use]
    pub fn sender(&self) -> CarryEffect {
        let (sender, metrics) = (self.sender.clone(), Arc::clone(&self.metrics));
        let confirms = self.confirms.clone();
        Arc::new(move |effect| {
            if let Effect::Payment(payment, PaymentEffect::Confirm { pix }) = effect {
                if !confirms.ask(payment, pix) {
                    metrics.effects.with_label_values(&["confirm", "dropped"]).inc();
                }
                return;
            }
            if let Err(error) = sender.try_send(effect) {
                let effect = name(&error.into_inner());
                metrics.effects.with_label_values(&[effect, "dropped"]).inc();
            }
        })
    }

    /// Carries effects out until the actors are gone. Whoever is called is called on this runtime.
    pub async fn run(mut self, provider: Provider, keys: Keys, dispatch: Weak<Dispatch>) {
        let carrier = Arc::new(Carrier { provider, keys });
        let (confirms, at) = (self.confirms, Weak::clone(&dispatch));
        let confirmer = Confirmer { carrier: Arc::clone(&carrier), dispatch: at, confirms };
        // Ended with this.
        let mut confirming = JoinSet::new();
        confirming.spawn(confirmer.run(self.asked));
        let places = Arc::new(Semaphore::new(AT_ONCE));
        // Its own end would keep the queue open.
        drop(self.sender);
        while let Some(effect) = self.waiting.recv().await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            // Another engine carries it, or will.
            let may = dispatch.upgrade().is_some_and(|dispatch| dispatch.may_act().is_ok());
            if !may {
                continue;
            }
            let (carrier, dispatch) = (Arc::clone(&carrier), Weak::clone(&dispatch));
            let metrics = Arc::clone(&self.metrics);
            tokio::spawn(async move {
                let name = name(&effect);
                #[cfg(feature = "failpoints")]
                let (begun, answered) = crate::obs::failpoints::effect(&effect);
                failpoint!(each[begun]);
                let ended = carrier.carry(effect, &dispatch).await;
                failpoint!(each[answered]);
                metrics.effects.with_label_values(&[name, outcome(&ended)]).inc();
                if let Some(dispatch) = dispatch.upgrade() {
                    dispatch.effect_ended(ended);
                }
                drop(place);
            });
        }
    }
}

impl Carrier {
    async fn carry(&self, effect: Effect, dispatch: &Weak<Dispatch>) -> EffectEnded {
        match effect {
            Effect::Payment(payment, effect) => {
                EffectEnded::Payment(payment, self.of_payment(effect).await)
            }
            Effect::Payout(number, call) => {
                EffectEnded::Payout(number, self.of_payout(call, dispatch).await)
            }
        }
    }
}

const fn name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Payment(_, effect) => effect.as_str(),
        Effect::Payout(_, call) => call.as_str(),
    }
}

const fn outcome(ended: &EffectEnded) -> &'static str {
    match ended {
        EffectEnded::Payment(_, seen) => seen.outcome(),
        EffectEnded::Payout(_, heard) => heard.outcome(),
    }
}
