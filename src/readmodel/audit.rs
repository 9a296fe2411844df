//! The audit of every promise that the database alone can prove or break.
//!
//! Used by `cli` and the load test. Reads only. Each check is one statement that returns what
//! breaks an invariant; that a row is the fold of its events is checked by replay, ride by ride.

use ibora_domain::invariants::{self, Invariant};
use sqlx::PgPool;
use uuid::Uuid;

use super::patient;
use super::replay::verify;

/// What was found for one invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub invariant: Invariant,
    /// How often it is broken.
    pub violations: u64,
    /// Ids of a few entities that break it.
    pub examples: Vec<Uuid>,
}

/// Examples named for each broken invariant.
const EXAMPLES: usize = 5;

/// Each returns the ids of the entities that break it.
pub(super) const CHECKS: &[(Invariant, &str)] = &[
    (
        invariants::RIDE_1,
        "SELECT entity_id FROM events WHERE kind IN ('assigned', 'released') GROUP BY entity_id
         HAVING count(*) FILTER (WHERE kind = 'assigned')
              > 1 + count(*) FILTER (WHERE kind = 'released')",
    ),
    (
        invariants::RIDE_2,
        "SELECT active_driver_id FROM rides WHERE active_driver_id IS NOT NULL
         GROUP BY active_driver_id HAVING count(*) > 1",
    ),
    (
        invariants::RIDE_3,
        "SELECT active_passenger_id FROM rides WHERE active_passenger_id IS NOT NULL
         GROUP BY active_passenger_id HAVING count(*) > 1",
    ),
    (
        invariants::RIDE_4,
        "SELECT r.id FROM rides r LEFT JOIN
             (SELECT entity_id, count(*) AS n, max(seq) AS last FROM events GROUP BY entity_id) e
             ON e.entity_id = r.id
         WHERE e.n IS DISTINCT FROM r.version OR e.last IS DISTINCT FROM r.version",
    ),
    (
        invariants::RIDE_5,
        "SELECT entity_id FROM (
             SELECT e.entity_id, e.kind,
                    lag(e.kind) OVER (PARTITION BY e.entity_id ORDER BY e.seq) AS before
             FROM events e JOIN rides r ON r.id = e.entity_id
             WHERE e.kind IN ('requested', 'assigned', 'released', 'arriving', 'arrived', 'started',
                              'completed', 'canceled', 'no_driver')) steps
         WHERE (coalesce(before, 'none'), kind) NOT IN (
             ('none', 'requested'), ('requested', 'assigned'), ('requested', 'canceled'),
             ('requested', 'no_driver'), ('assigned', 'arriving'), ('assigned', 'arrived'),
             ('assigned', 'released'), ('assigned', 'canceled'), ('arriving', 'arrived'),
             ('arriving', 'released'), ('arriving', 'canceled'), ('arrived', 'started'),
             ('arrived', 'released'), ('arrived', 'canceled'), ('released', 'assigned'),
             ('released', 'canceled'), ('released', 'no_driver'), ('started', 'completed'),
             ('started', 'canceled'))",
    ),
    (
        invariants::RIDE_6,
        "SELECT o.ride_id FROM ride_offers o JOIN events e ON e.entity_id = o.ride_id
         WHERE e.kind IN ('completed', 'canceled', 'no_driver') AND o.offered_at > e.at",
    ),
    // Beside nothing else it is on its way to be active, which it is within a minute.
    (
        invariants::RIDE_7,
        "SELECT chained_driver_id FROM rides WHERE chained_driver_id IS NOT NULL
         GROUP BY chained_driver_id HAVING count(*) > 1
         UNION ALL
         SELECT n.id FROM rides n
         JOIN rides r ON r.id = (n.state::json -> 'chain' ->> 'after')::uuid
         WHERE n.chained_driver_id IS NOT NULL AND r.active_passenger_id IS NULL
           AND (SELECT max(e.at) FROM events e WHERE e.entity_id = r.id)
               < (SELECT max(at) - interval '1 minute' FROM events)",
    ),
    (
        invariants::ACK_1,
        "SELECT r.id FROM command_results c JOIN rides r ON r.id = c.owner
         WHERE c.outcome = 'ok' AND c.version > r.version
         UNION ALL
         SELECT e.entity_id FROM events e WHERE e.kind = 'assigned' AND NOT EXISTS (
             SELECT 1 FROM ride_offer_lines o WHERE o.ride_id = e.entity_id
             AND o.driver_id = (e.body::json -> 'driver' ->> 'id')::uuid)",
    ),
    (
        invariants::RESULT_1,
        "SELECT l.ride_id FROM ride_accept_attempt_lines l
         JOIN command_results c ON c.principal = l.driver_id AND c.id = l.command_id
         UNION ALL
         SELECT (array_agg(l.ride_id))[1] FROM ride_accept_attempt_lines l
         WHERE l.command_id IS NOT NULL GROUP BY l.driver_id, l.command_id
         HAVING count(*) > 1 AND max(l.at) - min(l.at) < interval '24 hours'",
    ),
    (
        invariants::STREAM_1,
        "SELECT user_id FROM stream_events GROUP BY user_id
         HAVING max(seq) - min(seq) + 1 <> count(*)",
    ),
    (
        invariants::TIMER_1,
        "SELECT r.id FROM rides r LEFT JOIN timers t ON t.entity_id = r.id
         WHERE (r.status = 'searching' AND t.entity_id IS NULL)
            OR (r.active_passenger_id IS NULL AND t.entity_id IS NOT NULL)",
    ),
    (
        invariants::RATE_1,
        "SELECT coalesce(p.user_id, g.user_id) FROM person_ratings p FULL JOIN (
             SELECT r.user_id, count(*) AS ratings, sum(r.stars) AS stars
             FROM ride_ratings r JOIN users u ON u.id = r.user_id GROUP BY r.user_id) g
             ON g.user_id = p.user_id
         WHERE p.ratings IS DISTINCT FROM g.ratings OR p.stars IS DISTINCT FROM g.stars
         UNION ALL
         SELECT ride_id FROM ride_ratings GROUP BY ride_id, by HAVING count(*) > 1",
    ),
    (
        invariants::FENCE_1,
        "SELECT entity_id FROM (
             SELECT entity_id, epoch,
                    lag(epoch) OVER (PARTITION BY entity_id ORDER BY seq) AS before
             FROM events) steps WHERE epoch < before",
    ),
    (
        invariants::MONEY_1,
        "SELECT coalesce(f.id, e.event_id) FROM financial_events f FULL JOIN
             (SELECT event_id, sum(amount) AS total, count(*) AS lines
              FROM ledger_postings GROUP BY event_id) e ON e.event_id = f.id
         WHERE e.total IS DISTINCT FROM 0 OR e.lines IS DISTINCT FROM f.lines",
    ),
    (
        invariants::MONEY_2,
        "SELECT coalesce(b.owner, e.owner) FROM
             (SELECT owner, code, sum(balance) AS balance, sum(version) AS lines
              FROM ledger_running_balances GROUP BY owner, code) b
         FULL JOIN
             (SELECT owner, code, sum(amount) AS balance, count(*) AS lines
              FROM ledger_postings GROUP BY owner, code) e
             ON e.owner = b.owner AND e.code = b.code
         WHERE b.balance IS DISTINCT FROM e.balance OR b.lines IS DISTINCT FROM e.lines",
    ),
    (
        invariants::MONEY_3,
        "SELECT b.owner FROM ledger_running_balances b JOIN ledger_accounts a USING (code)
         WHERE a.floored AND CASE a.side WHEN 'debit' THEN b.balance < 0 ELSE b.balance > 0 END",
    ),
    (
        invariants::MONEY_4,
        "SELECT owner FROM (
             SELECT owner, version, amount, balance_after,
                    lag(version, 1, 0::bigint) OVER earlier AS version_before,
                    lag(balance_after, 1, 0::bigint) OVER earlier AS balance_before
             FROM ledger_postings WHERE version IS NOT NULL
             WINDOW earlier AS (PARTITION BY owner, code ORDER BY version)) steps
         WHERE version <> version_before + 1 OR balance_after <> balance_before + amount",
    ),
    (
        invariants::MONEY_5,
        "SELECT r.id FROM rides r JOIN ledger_accounts a ON a.code = 1100
         WHERE r.driver_id IS NOT NULL AND r.requested_at > a.opened_at
           AND (r.status = 'completed' AND r.state::json -> 'order' ->> 'payment_method' = 'pix'
                    AND (r.state::json ->> 'final_fare')::bigint > 0
                OR r.status = 'canceled'
                    AND (r.state::json -> 'cancellation' ->> 'fee')::bigint > 0)
           AND NOT EXISTS (SELECT FROM financial_events f WHERE f.subject_id = r.id
                           AND f.kind IN ('ride_fare', 'cancel_fee'))",
    ),
    (
        invariants::MONEY_6,
        "SELECT '00000000-0000-0000-0000-000000000000'::uuid
         FROM (SELECT sum(amount) AS total FROM ledger_postings) p WHERE p.total <> 0",
    ),
    (
        invariants::MONEY_7,
        "SELECT coalesce(h.driver_id, b.owner)
         FROM (SELECT driver_id, sum(amount - taken - released) AS held FROM holds
               GROUP BY driver_id) h
         FULL JOIN (SELECT owner, -balance AS held FROM ledger_running_balances
                    WHERE code = 2000) b ON b.owner = h.driver_id
         WHERE coalesce(h.held, 0) <> coalesce(b.held, 0)",
    ),
    (
        invariants::MONEY_8,
        "SELECT '00000000-0000-0000-0000-000000000000'::uuid
         WHERE (SELECT coalesce(-sum(balance), 0) FROM ledger_running_balances WHERE code = 1020)
            <> (SELECT coalesce(sum(amount - (state::json ->> 'fee')::bigint), 0) FROM payouts
                WHERE status IN ('awaiting_approval', 'queued', 'in_flight', 'unclear'))",
    ),
    // By the ride's events, which make it owe, and by the payment's own, which end that. Of a tip
    // all of them are its own. What credit has paid may be on its way to the payment.
    (
        invariants::MONEY_9,
        "WITH owed AS (
             SELECT f.subject_id, sum(e.amount) AS amount
             FROM financial_events f JOIN ledger_entries e
                 ON e.event_id = f.id AND e.recorded_at = f.recorded_at
             WHERE e.code = 1100 GROUP BY f.subject_id)
         SELECT p.id FROM payment_intents p
         LEFT JOIN owed r ON r.subject_id = p.ride_id
             AND p.state::json -> 'debt' ->> 'due' <> 'tip'
         LEFT JOIN owed s ON s.subject_id = p.id
         WHERE p.ride_id IS NOT NULL AND coalesce(r.amount, 0) + coalesce(s.amount, 0)
             <> CASE WHEN p.status IN ('pending', 'expired') THEN p.amount - (
                    SELECT coalesce(sum(u.amount), 0) FROM credit_uses u WHERE u.payment_id = p.id)
                ELSE 0 END",
    ),
    (
        invariants::MONEY_10,
        "SELECT r.payment_id FROM pix_received r
         WHERE NOT EXISTS (SELECT FROM financial_events f WHERE f.key = 'pix:' || r.end_to_end)
            OR (SELECT coalesce(sum(g.amount), 0) FROM pix_refunds g
                WHERE g.end_to_end = r.end_to_end
                  AND g.status NOT IN ('failed', 'dropped')) > r.amount
            OR r.good_for NOT IN ('settled', 'settled_late') AND NOT EXISTS (
                SELECT FROM pix_refunds g WHERE g.end_to_end = r.end_to_end)",
    ),
    (
        invariants::MONEY_11,
        "SELECT coalesce(d.id, b.owner) FROM disputes d
         FULL JOIN (SELECT owner, -balance AS escrow FROM ledger_running_balances
                    WHERE code = 2110) b ON b.owner = d.id
         WHERE coalesce(d.escrow, 0) <> coalesce(b.escrow, 0)",
    ),
    // One that failed and is owed all the same stays on its way until one after it goes out; and
    // what was ruled is on its way before its payment has heard of it.
    (
        invariants::MONEY_12,
        "SELECT '00000000-0000-0000-0000-000000000000'::uuid
         WHERE (SELECT coalesce(-sum(balance), 0) FROM ledger_running_balances WHERE code = 1030)
            <> (SELECT coalesce(sum(f.amount), 0) FROM pix_refunds f
                WHERE f.status = 'asked'
                   OR f.status = 'failed' AND f.cause IN ('suspense', 'dispute') AND NOT EXISTS (
                       SELECT FROM pix_refunds g
                       WHERE g.end_to_end = f.end_to_end AND g.cause = f.cause
                         AND (g.asked_at, octet_length(g.id), g.id)
                             > (f.asked_at, octet_length(f.id), f.id)))
             + (SELECT coalesce(sum(f.amount), 0) FROM pix_refunds f
                JOIN disputes d ON d.payment_id = f.payment_id AND d.kind = 'contested'
                WHERE f.cause = 'dispute' AND f.status IN ('decided', 'frozen')
                  AND d.status = 'for_passenger')
             + (SELECT coalesce(sum(f.amount), 0) FROM pix_refunds f
                WHERE f.cause = 'shared' AND f.status IN ('decided', 'failed') AND EXISTS (
                    SELECT FROM disputes d WHERE d.payment_id = f.payment_id
                      AND d.kind = 'refund' AND d.status = 'open'
                      AND d.state::json -> 'claim' -> 'ground' ->> 'id' = f.id))",
    ),
    (
        invariants::MONEY_13,
        "SELECT '00000000-0000-0000-0000-000000000000'::uuid
         WHERE (SELECT coalesce(sum(balance), 0) FROM ledger_running_balances WHERE code = 1040)
            <> (SELECT coalesce(sum(blocked), 0) FROM disputes)
             + (SELECT coalesce(sum(abs(e.amount)), 0) FROM financial_events f
                JOIN ledger_entries e ON e.event_id = f.id AND e.recorded_at = f.recorded_at
                WHERE f.kind = 'med_blocked' AND e.code = 1040
                  AND NOT EXISTS (SELECT FROM disputes d WHERE d.id = f.subject_id)
                  AND NOT EXISTS (SELECT FROM financial_events g
                      WHERE g.subject_id = f.subject_id
                        AND g.kind IN ('med_rejected', 'med_accepted')))",
    ),
    (
        invariants::MONEY_14,
        "SELECT p.id FROM payment_intents p
         JOIN (SELECT payment_id, count(*) FILTER (WHERE good_for LIKE 'settled%') AS settled
               FROM pix_received GROUP BY payment_id) i ON i.payment_id = p.id
         WHERE p.status IN ('waived', 'lapsed') AND i.settled > 0
         UNION ALL
         SELECT p.id FROM payment_intents p
         WHERE p.state::json -> 'debt' ->> 'due' = 'tip' AND p.status IN ('paid', 'refunded')
           AND NOT EXISTS (SELECT FROM holds h WHERE h.ride_id = p.ride_id AND h.due = 'tip'
                           AND h.driver_id = p.driver_id AND h.amount = p.amount)
         UNION ALL
         SELECT p.id FROM payment_intents p
         WHERE p.status = 'waived' AND NOT EXISTS (
             SELECT FROM audit_logs a
             WHERE a.entity_id = p.id AND a.action = 'payment.waive')",
    ),
    (
        invariants::MONEY_15,
        "SELECT coalesce(c.passenger_id, b.owner)
         FROM (SELECT passenger_id, sum(amount - used) AS credit FROM passenger_credits
               GROUP BY passenger_id) c
         FULL JOIN (SELECT owner, -balance AS credit FROM ledger_running_balances
                    WHERE code = 2020) b ON b.owner = c.passenger_id
         WHERE coalesce(c.credit, 0) <> coalesce(b.credit, 0)
         UNION ALL
         SELECT u.payment_id FROM credit_uses u
         WHERE u.amount > 0 AND NOT EXISTS (
             SELECT FROM financial_events f JOIN ledger_postings e ON e.event_id = f.id
             WHERE f.key = concat('credit:', replace(u.payment_id::text, '-', ''), ':', u.number)
               AND e.code = 2020 AND e.owner = u.passenger_id AND e.amount = u.amount)",
    ),
    // What was returned has paid nothing. Of a top-up all is credit.
    (
        invariants::MONEY_16,
        "SELECT p.id FROM payment_intents p
         WHERE p.status IN ('paid', 'refunded') AND p.amount
             <> (SELECT coalesce(sum(i.amount), 0) FROM pix_received i
                 WHERE i.payment_id = p.id AND i.good_for LIKE 'settled%')
              + (SELECT coalesce(sum(u.amount), 0) FROM credit_uses u WHERE u.payment_id = p.id)
              - (SELECT coalesce(sum(c.amount), 0) FROM passenger_credits c
                 WHERE c.payment_id = p.id AND c.kind = 'returned')
         UNION ALL
         SELECT p.id FROM payment_intents p
         WHERE p.status IN ('paid', 'refunded') AND p.ride_id IS NULL AND NOT EXISTS (
             SELECT FROM passenger_credits c WHERE c.payment_id = p.id AND c.kind = 'top_up'
               AND c.passenger_id = p.passenger_id AND c.amount = p.amount)",
    ),
];

/// Checks everything; `progress` is told what is being checked and is given a chance to show it.
///
/// # Errors
/// Whatever the database reports.
pub async fn audit(
    pool: &PgPool,
    mut progress: impl FnMut(&str),
) -> Result<Vec<Finding>, sqlx::Error> {
    let mut findings = Vec::new();
    let mut connection = patient(pool).await?;
    for (invariant, statement) in CHECKS {
        progress(invariant.id());
        let broken: Vec<Uuid> = sqlx::query_scalar(*statement).fetch_all(&mut connection).await?;
        findings.push(finding(*invariant, &broken));
    }
    progress("events folded into rides");
    let verified = verify(pool, |_| {}).await?;
    if let Some(versions) = findings.iter_mut().find(|f| f.invariant == invariants::RIDE_4) {
        versions.violations += verified.different;
        let broken = verified.examples.iter().map(|(id, _)| id.0);
        versions.examples.extend(broken.take(EXAMPLES));
    }
    Ok(findings)
}

fn finding(invariant: Invariant, broken: &[Uuid]) -> Finding {
    Finding {
        invariant,
        violations: u64::try_from(broken.len()).unwrap_or(u64::MAX),
        examples: broken.iter().copied().take(EXAMPLES).collect(),
    }
}
