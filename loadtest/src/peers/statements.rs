//! The plain statements of a step, one a table, inside a transaction that somebody else opened.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Call, Desk};
use crate::facts::Step;
use crate::people::shard;

/// Everything of a step but the ride's own row, which is at `version` now.
pub(super) async fn store_rest(
    transaction: &mut PgConnection,
    desk: &Desk,
    call: &Call<'_>,
    version: i64,
) -> Result<(), sqlx::Error> {
    let facts = desk.script.facts(call.step);
    let kinds: Vec<&str> = facts.events.iter().map(|(kind, _)| kind.as_str()).collect();
    let bodies: Vec<&str> = facts.events.iter().map(|(_, body)| body.as_str()).collect();
    sqlx::query(
        "INSERT INTO events (entity_id, seq, shard, epoch, kind, at, body)
         SELECT $1, $2 + n, $3, 1, kind, now(), body
         FROM unnest($4::text[], $5::text[]) WITH ORDINALITY AS e(kind, body, n)",
    )
    .bind(call.ride)
    .bind(version - i64::try_from(kinds.len()).unwrap_or(0))
    .bind(shard(call.ride))
    .bind(&kinds)
    .bind(&bodies)
    .execute(&mut *transaction)
    .await?;
    if call.step == Step::Accept {
        sqlx::query("DELETE FROM timers WHERE entity_id = $1")
            .bind(call.ride)
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::query(
        "INSERT INTO command_results (principal, id, owner, fingerprint, outcome, version, body, at)
         VALUES ($1, $2, $3, 0, 'ok', $4, $5, now())",
    )
    .bind(call.principal())
    .bind(call.command)
    .bind(call.ride)
    .bind(version)
    .bind(&facts.result)
    .execute(&mut *transaction)
    .await?;
    store_streams(transaction, desk, call, version).await
}

async fn store_streams(
    transaction: &mut PgConnection,
    desk: &Desk,
    call: &Call<'_>,
    version: i64,
) -> Result<(), sqlx::Error> {
    let streams = Streams::of(desk, call);
    if streams.users.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO stream_events (user_id, op, key, version, urgent, at, body)
         SELECT user_id, op, $1, $2, urgent, now(), body
         FROM unnest($3::uuid[], $4::text[], $5::bool[], $6::text[]) AS s(user_id, op, urgent, body)
         UNION ALL
         SELECT user_id, 'offer.withdrawn', $1, $2, false, now(), $8
         FROM unnest($7::uuid[]) AS w(user_id)",
    )
    .bind(call.ride)
    .bind(version)
    .bind(&streams.users)
    .bind(&streams.ops)
    .bind(&streams.urgent)
    .bind(&streams.bodies)
    .bind(streams.withdrawn)
    .bind(streams.withdrawal)
    .execute(transaction)
    .await?;
    Ok(())
}

/// A new ride with its offers, in the caller's transaction.
pub(super) async fn open_ride(
    transaction: &mut PgConnection,
    desk: &Desk,
    call: &Call<'_>,
) -> Result<(), sqlx::Error> {
    let facts = desk.script.facts(Step::Request);
    let version = i64::try_from(facts.events.len()).unwrap_or(1);
    sqlx::query(
        "INSERT INTO rides (id, shard, status, passenger_id, category, version, requested_at, state)
         VALUES ($1, $2, 'searching', $3, 'economy', $4, now(), $5)",
    )
    .bind(call.ride)
    .bind(shard(call.ride))
    .bind(call.passenger)
    .bind(version)
    .bind(&facts.state)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO timers (entity_id, entity_kind, shard, due_at)
         VALUES ($1, 'ride', $2, now() + interval '1 day')",
    )
    .bind(call.ride)
    .bind(shard(call.ride))
    .execute(&mut *transaction)
    .await?;
    if let Some(offers) = &facts.offers {
        sqlx::query(
            "INSERT INTO ride_offers (ride_id, search, wave, shard, offered_at, expires_at, offers)
             VALUES ($1, 0, 1, $2, now(), now() + interval '1 day', $3::text::json)",
        )
        .bind(call.ride)
        .bind(shard(call.ride))
        .bind(offers)
        .execute(&mut *transaction)
        .await?;
    }
    store_rest(transaction, desk, call, version).await
}

/// The stream events of a step as columns.
#[derive(Default)]
pub(super) struct Streams<'a> {
    pub(super) users: Vec<Uuid>,
    pub(super) ops: Vec<&'a str>,
    pub(super) urgent: Vec<bool>,
    pub(super) bodies: Vec<&'a str>,
    /// Drivers who hear that their offer is gone, all in the same words.
    pub(super) withdrawn: &'a [Uuid],
    pub(super) withdrawal: Option<&'a str>,
}

impl<'a> Streams<'a> {
    pub(super) fn of(desk: &'a Desk, call: &Call<'a>) -> Self {
        let facts = desk.script.facts(call.step);
        let mut streams = Self::default();
        for fact in &facts.streams {
            let user = if fact.to_passenger { call.passenger } else { call.driver };
            streams.push(user, &fact.op, (fact.urgent, &fact.body));
        }
        if facts.withdrawn.is_some() {
            streams.withdrawn = desk.withdrawn(call);
            streams.withdrawal = facts.withdrawn.as_deref();
        }
        streams
    }

    fn push(&mut self, user: Uuid, op: &'a str, (urgent, body): (bool, &'a str)) {
        self.users.push(user);
        self.ops.push(op);
        self.urgent.push(urgent);
        self.bodies.push(body);
    }
}
