//! The simulator's model of the database is held to the truth: the same histories run on it and on
//! PostgreSQL, and must come to the same.
//!
//! A history is drawn from a seed: owners that come, renew their lease and go, batches good and
//! bad, old owners that still write, ids sent twice. After every step both have said the same, and
//! in the end they hold the same.

mod disputes;
mod history;
mod money;
mod purse;
mod tables;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ibora::db::Db;
use ibora::journal::{JournalOptions, Taking, Tenure};
use ibora_domain::units::Millis;
use ibora_sim::chance::Chance;
use ibora_sim::database::{Database, Fence, Took, Wrote};
use sqlx::PgPool;

use crate::pg;
use history::History;

/// Steps of a history, and how many are told.
const STEPS: usize = 150;
const HISTORIES: u64 = 12;

/// A lease that lives as long as a history; one of nothing has run out at once.
const HOUR_MS: u64 = 3_600_000;

/// Writers that an engine of these histories has, and so one lane more, which is for accounts.
const WRITERS: u16 = 2;

#[actix_web::test]
async fn the_model_of_the_database_says_and_keeps_what_postgresql_does() {
    let (mut seen, mut renewed) = (Vec::new(), Vec::new());
    for seed in 0..HISTORIES {
        let pool = PgPool::connect_with(pg::database().await).await.expect("connects");
        let mut pair = Pair { pool, model: Database::default(), owners: Vec::new() };
        let mut chance = Chance::new(seed, 7);
        let mut history = History::default();
        pair.take("a", 0).await;
        for step in 0..STEPS {
            match chance.below(20) {
                0 => pair.take(["a", "b"][chance.index(2)], chance.below(2) * HOUR_MS).await,
                1 => renewed.push(pair.renew(&mut chance).await),
                2 => {
                    pair.leave(&mut chance).await;
                    pair.take("b", chance.below(2) * HOUR_MS).await;
                }
                _ => seen.push(pair.write(&mut history, &mut chance, (seed, step)).await),
            }
        }
        tables::agree(&pair.pool, &pair.model, seed).await;
    }
    let came = |wanted: &Wrote| seen.iter().any(|said| said == wanted);
    assert!(came(&Wrote::Written) && came(&Wrote::Already) && came(&Wrote::Fenced), "too quiet");
    assert!(renewed.contains(&true) && renewed.contains(&false), "too few owners");
    for constraint in [
        "events_pkey",
        "rides_one_active_per_passenger",
        "rides_one_active_per_driver",
        "rides_one_chained_per_driver",
        "ride_offers_pkey",
        "command_results_pkey",
        "stream_events_pkey",
        "financial_events_key",
        "ledger_running_balances_floor",
        "ledger_entries_floor",
        "payment_intents_whose",
        "pix_charges_one_open",
        "pix_received_pkey",
        "pix_received_settles_once",
        "holds_pkey",
        "holds_whole",
        "disputes_ended_holds_nothing",
        "disputes_contested_once",
        "dispute_evidence_pkey",
        "passenger_credits_whole",
        "credit_uses_pkey",
    ] {
        assert!(came(&Wrote::Refused { constraint }), "never refused by {constraint}");
    }
}

/// PostgreSQL and the model of it.
struct Pair {
    pool: PgPool,
    model: Database,
    /// Everybody who ever had the shards, the newest last: as the model and as PostgreSQL has them.
    owners: Vec<(Rc<Fence>, Tenure)>,
}

impl Pair {
    /// Somebody wants the shards; both say whether they are to be had.
    async fn take(&mut self, node: &str, lease_ms: u64) {
        let options = JournalOptions {
            node: node.to_owned(),
            lease: Duration::from_millis(lease_ms),
            writers: WRITERS,
            queue_max: 10,
            batch_max: 10,
            answer_within: Duration::from_secs(30),
        };
        let taking = Tenure::take(&Db::new(self.pool.clone()), &options).await.expect("asks");
        let times = (Millis(0), Millis(lease_ms));
        match (taking, self.model.take(&Arc::from(node), WRITERS + 1, times)) {
            (Taking::Ours(tenure), Took::Ours(fence)) => {
                assert_eq!(fence, tables::fence(&self.pool, node).await, "another fence");
                self.owners.push((Rc::new(fence), tenure));
            }
            (Taking::Held { .. }, Took::Held) => {}
            (_, model) => panic!("{node}: the model says {model:?}, and PostgreSQL does not"),
        }
    }

    /// Somebody who has the shards, or had them, renews the lease; both say whether it is his.
    async fn renew(&mut self, chance: &mut Chance) -> bool {
        let lease = chance.below(2) * HOUR_MS;
        let (fence, tenure) = &self.owners[self.owner(chance, 50)];
        let renewed = tenure.renew(&Db::new(self.pool.clone()), Duration::from_millis(lease)).await;
        let renewed = renewed.expect("asks");
        assert_eq!(self.model.renew(fence, (Millis(0), Millis(lease))), renewed, "{fence:?}");
        renewed
    }

    /// Somebody who has the shards, or had them, gives them up.
    async fn leave(&mut self, chance: &mut Chance) {
        let (fence, tenure) = &self.owners[self.owner(chance, 50)];
        tenure.leave(&Db::new(self.pool.clone())).await.expect("asks");
        self.model.leave(fence);
    }

    /// The newest owner, or in so many of a hundred cases anybody.
    fn owner(&self, chance: &mut Chance, anybody: u64) -> usize {
        let newest = self.owners.len() - 1;
        if chance.percent(anybody) { chance.index(self.owners.len()) } else { newest }
    }

    /// A batch, mostly of the owner; both say what becomes of it.
    async fn write(
        &mut self,
        history: &mut History,
        chance: &mut Chance,
        at: (u64, usize),
    ) -> Wrote {
        let fence = Rc::clone(&self.owners[self.owner(chance, 8)].0);
        let write = history.batch(chance, fence);
        let said = tables::call(&self.pool, &write).await;
        assert_eq!(self.model.write(&write), said, "history {}, step {}", at.0, at.1);
        if said == Wrote::Written {
            history.written(&write);
        }
        said
    }
}
