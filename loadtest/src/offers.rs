//! What drivers' apps would hear: which rides have offers out. The engine publishes committed
//! stream events here, and bots wait here until theirs is among them.

use std::collections::HashMap;

use ibora::journal::Published;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

/// Offers told, by ride.
#[derive(Default)]
pub(crate) struct OfferBoard {
    rides: Mutex<HashMap<Uuid, Told>>,
}

#[derive(Default)]
struct Told {
    offers: usize,
    waiting: Option<(usize, oneshot::Sender<()>)>,
}

impl OfferBoard {
    /// Takes what a commit put on people's streams.
    pub(crate) fn publish(&self, events: &[Published]) {
        let made = events.iter().filter(|event| event.row.op == "offer.made");
        let mut rides = self.rides.lock();
        for event in made {
            let told = rides.entry(event.row.key).or_default();
            told.offers += 1;
            if let Some((wanted, bot)) = told.waiting.take() {
                if told.offers >= wanted {
                    // The bot may have given up.
                    bot.send(()).ok();
                } else {
                    told.waiting = Some((wanted, bot));
                }
            }
        }
    }

    /// Waits until `wanted` drivers were told of `ride`, and forgets it.
    pub(crate) async fn told(&self, ride: Uuid, wanted: usize) -> anyhow::Result<()> {
        let heard = {
            let mut rides = self.rides.lock();
            let told = rides.entry(ride).or_default();
            if told.offers >= wanted {
                rides.remove(&ride);
                return Ok(());
            }
            let (bot, heard) = oneshot::channel();
            told.waiting = Some((wanted, bot));
            heard
        };
        let heard = tokio::time::timeout(std::time::Duration::from_secs(10), heard).await;
        let told = self.rides.lock().remove(&ride).map_or(0, |told| told.offers);
        anyhow::ensure!(matches!(heard, Ok(Ok(()))), "{told} of {wanted} offers within 10 s");
        Ok(())
    }
}
