//! The facts of a ride's steps, byte for byte as the engine stored them: peers store the same.
//!
//! A ride is driven through the engine before anything is measured, and what each step left in the
//! database is read back. So a peer is spared even the making of these texts.

use sqlx::PgPool;
use uuid::Uuid;

/// A step that a caller waits for: one durable transition of a ride's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Request,
    Accept,
    Arrive,
    Start,
    Complete,
}

impl Step {
    /// The steps of a ride, in order.
    pub(crate) const ALL: [Self; 5] =
        [Self::Request, Self::Accept, Self::Arrive, Self::Start, Self::Complete];

    /// The status that a ride must have for this step; a request makes the ride.
    pub(crate) const fn from(self) -> &'static str {
        match self {
            Self::Request => "none",
            Self::Accept => "searching",
            Self::Arrive => "accepted",
            Self::Start => "arrived",
            Self::Complete => "started",
        }
    }

    /// The status that it leaves.
    pub(crate) const fn to(self) -> &'static str {
        match self {
            Self::Request => "searching",
            Self::Accept => "accepted",
            Self::Arrive => "arrived",
            Self::Start => "started",
            Self::Complete => "completed",
        }
    }

    /// The kind of the event that records it.
    pub(crate) const fn event(self) -> &'static str {
        match self {
            Self::Request => "requested",
            Self::Accept => "assigned",
            Self::Arrive => "arrived",
            Self::Start => "started",
            Self::Complete => "completed",
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Request => 0,
            Self::Accept => 1,
            Self::Arrive => 2,
            Self::Start => 3,
            Self::Complete => 4,
        }
    }

    /// The step after this one; the next ride's request after the last.
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::Request => Self::Accept,
            Self::Accept => Self::Arrive,
            Self::Arrive => Self::Start,
            Self::Start => Self::Complete,
            Self::Complete => Self::Request,
        }
    }
}

/// What one step stored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// The ride's row.
    pub(crate) state: String,
    /// Kind and body, in order.
    pub(crate) events: Vec<(String, String)>,
    /// The body of the command's result; `None`: the event that tells it holds it.
    pub(crate) result: Option<String>,
    pub(crate) streams: Vec<StreamFact>,
    /// The offers of the wave that follows a request.
    pub(crate) offers: Option<String>,
    /// What a driver reads whose offer was taken back.
    pub(crate) withdrawn: Option<String>,
}

/// An event on somebody's stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamFact {
    pub(crate) op: String,
    pub(crate) body: String,
    pub(crate) urgent: bool,
    /// To the ride's passenger; to a driver otherwise.
    pub(crate) to_passenger: bool,
}

/// The facts of every step of a ride.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    steps: [Facts; 5],
}

impl Script {
    pub(crate) fn facts(&self, step: Step) -> &Facts {
        &self.steps[step.index()]
    }

    /// Leaves out what a step told people.
    pub(crate) fn forget_streams(&mut self, step: Step) {
        self.steps[step.index()].streams.clear();
    }

    /// Keeps what `step` has just stored of `ride`, whose version was `before`.
    pub(crate) async fn read(
        &mut self,
        pool: &PgPool,
        (ride, step): (Uuid, Step),
        before: i64,
    ) -> anyhow::Result<i64> {
        let (version, state, passenger): (i64, String, Uuid) =
            sqlx::query_as("SELECT version, state, passenger_id FROM rides WHERE id = $1")
                .bind(ride)
                .fetch_one(pool)
                .await?;
        let events = sqlx::query_as(
            "SELECT kind, body FROM events WHERE entity_id = $1 AND seq > $2 ORDER BY seq",
        )
        .bind(ride)
        .bind(before)
        .fetch_all(pool)
        .await?;
        let result: Option<String> = sqlx::query_scalar(
            "SELECT body FROM command_results
             WHERE owner = $1 AND outcome = 'ok' ORDER BY version DESC LIMIT 1",
        )
        .bind(if step == Step::Request { passenger } else { ride })
        .fetch_one(pool)
        .await?;
        let streams: Vec<(String, String, bool, Uuid)> = sqlx::query_as(
            "SELECT op, body, urgent, user_id FROM stream_events
             WHERE key = $1 AND version > $2 AND op <> 'offer.withdrawn' ORDER BY op, seq",
        )
        .bind(ride)
        .bind(before)
        .fetch_all(pool)
        .await?;
        let fact = |(op, body, urgent, user)| StreamFact {
            op,
            body,
            urgent,
            to_passenger: user == passenger,
        };
        let mut facts = Facts {
            state,
            events,
            result,
            streams: streams.into_iter().map(fact).collect(),
            ..Facts::default()
        };
        if step == Step::Request {
            facts.offers = one_text(pool, OFFERS, ride).await?;
        }
        if step == Step::Accept {
            // All accepts of this one race may have come in time: then the size counts.
            let told = one_text(pool, WITHDRAWN, ride).await?;
            facts.withdrawn = Some(told.unwrap_or_else(|| withdrawal(ride)));
        }
        self.steps[step.index()] = facts;
        Ok(version)
    }
}

const OFFERS: &str = "SELECT offers::text FROM ride_offers WHERE ride_id = $1 LIMIT 1";
const WITHDRAWN: &str =
    "SELECT body FROM stream_events WHERE key = $1 AND op = 'offer.withdrawn' LIMIT 1";

/// What a driver reads whose offer was taken back.
fn withdrawal(ride: Uuid) -> String {
    let offer = Uuid::now_v7();
    format!(r#"{{"offer_id":"{offer}","ride_id":"{ride}","reason":"taken"}}"#)
}

async fn one_text(
    pool: &PgPool,
    query: &'static str,
    ride: Uuid,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(query).bind(ride).fetch_optional(pool).await
}
