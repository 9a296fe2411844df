//! The condition: `UPDATE ... WHERE status = ...` decides, and carries all other facts along in the
//! same statement: one round trip, won or lost. The best that plain SQL has to offer.

use super::statements::Streams;
use super::{Call, Desk, Peer};
use crate::facts::Step;
use crate::people::shard;

/// Lets the database decide by a condition.
pub(crate) struct ConditionalUpdate {
    desk: Desk,
}

/// `$15`: whether the step ends the ride's timer.
const STEP: &str = "
    WITH moved AS (
        UPDATE rides SET status = $2, driver_id = $3, version = version + 1, state = $4
        WHERE id = $1 AND status = $5 RETURNING id, version, shard),
    event AS (
        INSERT INTO events (entity_id, seq, shard, epoch, kind, at, body)
        SELECT id, version, shard, 1, $6, now(), $7 FROM moved),
    result AS (
        INSERT INTO command_results
            (principal, id, owner, fingerprint, outcome, version, body, at)
        SELECT $8, $9, id, 0, 'ok', version, $10, now() FROM moved),
    told AS (
        INSERT INTO stream_events (user_id, op, key, version, urgent, at, body)
        SELECT s.user_id, s.op, moved.id, moved.version, s.urgent, now(), s.body
        FROM moved CROSS JOIN unnest($11::uuid[], $12::text[], $13::bool[], $14::text[])
            AS s(user_id, op, urgent, body)
        UNION ALL
        SELECT w.user_id, 'offer.withdrawn', moved.id, moved.version, false, now(), $17
        FROM moved CROSS JOIN unnest($16::uuid[]) AS w(user_id)),
    timer AS (DELETE FROM timers USING moved WHERE $15 AND timers.entity_id = moved.id)
    SELECT count(*) FROM moved";

const REQUEST: &str = "
    WITH ride AS (
        INSERT INTO rides
            (id, shard, status, passenger_id, category, version, requested_at, state)
        VALUES ($1, $2, 'searching', $3, 'economy', cardinality($5::text[]), now(), $4)
        RETURNING id, shard, version),
    event AS (
        INSERT INTO events (entity_id, seq, shard, epoch, kind, at, body)
        SELECT ride.id, e.n, ride.shard, 1, e.kind, now(), e.body
        FROM ride CROSS JOIN unnest($5::text[], $6::text[]) WITH ORDINALITY AS e(kind, body, n)),
    timer AS (
        INSERT INTO timers (entity_id, entity_kind, shard, due_at)
        SELECT id, 'ride', shard, now() + interval '1 day' FROM ride),
    wave AS (
        INSERT INTO ride_offers (ride_id, search, wave, shard, offered_at, expires_at, offers)
        SELECT id, 0, 1, shard, now(), now() + interval '1 day', $7::text::json FROM ride
        WHERE $7::text IS NOT NULL),
    result AS (
        INSERT INTO command_results
            (principal, id, owner, fingerprint, outcome, version, body, at)
        SELECT $3, $8, id, 0, 'ok', version, $9, now() FROM ride)
    INSERT INTO stream_events (user_id, op, key, version, urgent, at, body)
    SELECT s.user_id, s.op, ride.id, ride.version, s.urgent, now(), s.body
    FROM ride CROSS JOIN unnest($10::uuid[], $11::text[], $12::bool[], $13::text[])
        AS s(user_id, op, urgent, body)";

impl ConditionalUpdate {
    pub(crate) const NAME: &'static str = "conditional_update";

    pub(crate) fn new(desk: Desk) -> Self {
        Self { desk }
    }

    async fn request(&self, call: &Call<'_>) -> Result<(), sqlx::Error> {
        let facts = self.desk.script.facts(Step::Request);
        let kinds: Vec<&str> = facts.events.iter().map(|(kind, _)| kind.as_str()).collect();
        let bodies: Vec<&str> = facts.events.iter().map(|(_, body)| body.as_str()).collect();
        let streams = Streams::of(&self.desk, call);
        sqlx::query(REQUEST)
            .bind(call.ride)
            .bind(shard(call.ride))
            .bind(call.passenger)
            .bind(&facts.state)
            .bind(&kinds)
            .bind(&bodies)
            .bind(&facts.offers)
            .bind(call.command)
            .bind(&facts.result)
            .bind(&streams.users)
            .bind(&streams.ops)
            .bind(&streams.urgent)
            .bind(&streams.bodies)
            .execute(&self.desk.pool)
            .await?;
        Ok(())
    }
}

impl Peer for ConditionalUpdate {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    async fn step(&self, call: &Call<'_>) -> anyhow::Result<bool> {
        if call.step == Step::Request {
            self.request(call).await?;
            return Ok(true);
        }
        let facts = self.desk.script.facts(call.step);
        let streams = Streams::of(&self.desk, call);
        let moved: i64 = sqlx::query_scalar(STEP)
            .bind(call.ride)
            .bind(call.step.to())
            .bind(call.driver)
            .bind(&facts.state)
            .bind(call.step.from())
            .bind(call.step.event())
            .bind(facts.events.first().map(|(_, body)| body.as_str()))
            .bind(call.principal())
            .bind(call.command)
            .bind(&facts.result)
            .bind(&streams.users)
            .bind(&streams.ops)
            .bind(&streams.urgent)
            .bind(&streams.bodies)
            .bind(call.step == Step::Accept)
            .bind(streams.withdrawn)
            .bind(streams.withdrawal)
            .fetch_one(&self.desk.pool)
            .await?;
        Ok(moved == 1)
    }
}
