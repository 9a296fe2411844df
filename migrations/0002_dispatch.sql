-- Dispatch: the journal's tables and the one function that writes them.
-- Every row of an entity carries its shard; events carry the epoch under which they were written.

CREATE TABLE journal_batches (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE journal_batches IS
    'One row a group commit. Inserted first, so that an unknown outcome is resolved by inserting it again.';

-- One row a writer of a node. A start raises the incarnation, which waits for commits in flight.
CREATE TABLE node_fence (
    node text NOT NULL,
    lane smallint NOT NULL,
    incarnation bigint NOT NULL,
    PRIMARY KEY (node, lane)
);

CREATE TABLE shard_owner (
    shard smallint PRIMARY KEY CHECK (shard BETWEEN 0 AND 1023),
    node text,
    epoch bigint NOT NULL
);
INSERT INTO shard_owner (shard, node, epoch) SELECT s, NULL, 0 FROM generate_series(0, 1023) AS s;

CREATE TABLE events (
    entity_id uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    shard smallint NOT NULL,
    epoch bigint NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (entity_id, seq)
);
COMMENT ON TABLE events IS 'What happened, append-only. body is the event as JSON.';

-- The generated columns are empty unless the ride is active, so that a step which changes neither
-- driver nor activity touches no index.
CREATE TABLE rides (
    id uuid PRIMARY KEY,
    shard smallint NOT NULL,
    status text NOT NULL CHECK (status IN ('scheduled', 'searching', 'accepted', 'arriving',
        'arrived', 'started', 'completed', 'canceled', 'no_driver')),
    passenger_id uuid NOT NULL,
    driver_id uuid,
    chained boolean NOT NULL DEFAULT false,
    category text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    requested_at timestamptz NOT NULL,
    state text NOT NULL,
    active_passenger_id uuid GENERATED ALWAYS AS (CASE WHEN status IN
        ('searching', 'accepted', 'arriving', 'arrived', 'started')
        THEN passenger_id END) STORED,
    active_driver_id uuid GENERATED ALWAYS AS (CASE WHEN status IN
        ('accepted', 'arriving', 'arrived', 'started') AND NOT chained
        THEN driver_id END) STORED,
    chained_driver_id uuid GENERATED ALWAYS AS (CASE WHEN status = 'accepted' AND chained
        THEN driver_id END) STORED
) WITH (fillfactor = 60);
COMMENT ON COLUMN rides.state IS 'The ride as JSON; the columns are what the database indexes.';
CREATE UNIQUE INDEX rides_one_active_per_passenger ON rides (active_passenger_id)
    WHERE active_passenger_id IS NOT NULL;
CREATE UNIQUE INDEX rides_one_active_per_driver ON rides (active_driver_id)
    WHERE active_driver_id IS NOT NULL;
CREATE UNIQUE INDEX rides_one_chained_per_driver ON rides (chained_driver_id)
    WHERE chained_driver_id IS NOT NULL;
CREATE INDEX rides_of_passenger ON rides (passenger_id, id);
CREATE INDEX rides_of_driver ON rides (driver_id, id) WHERE driver_id IS NOT NULL;

CREATE TABLE ride_offers (
    ride_id uuid NOT NULL,
    search smallint NOT NULL,
    wave integer NOT NULL,
    shard smallint NOT NULL,
    offered_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    offers json NOT NULL,
    PRIMARY KEY (ride_id, search, wave)
);
COMMENT ON TABLE ride_offers IS 'A row a wave; ride_offer_lines shows a line an offer.';

CREATE VIEW ride_offer_lines AS
SELECT o.ride_id, o.search, o.wave, line.id AS offer_id, line.driver AS driver_id,
       o.offered_at, o.expires_at, line.distance_m, line.eta_s
FROM ride_offers o
CROSS JOIN LATERAL json_to_recordset(o.offers)
    AS line(id uuid, driver uuid, distance_m integer, eta_s integer);

CREATE TABLE ride_accept_attempts (
    ride_id uuid NOT NULL,
    id uuid NOT NULL,
    shard smallint NOT NULL,
    attempts json NOT NULL,
    PRIMARY KEY (ride_id, id)
);
COMMENT ON TABLE ride_accept_attempts IS
    'A row a ride and commit, ids in time order; ride_accept_attempt_lines shows a line an attempt.';

CREATE VIEW ride_accept_attempt_lines AS
SELECT a.ride_id, row_number() OVER (PARTITION BY a.ride_id ORDER BY a.id, line.n) AS rank,
       (line.attempt ->> 'driver')::uuid AS driver_id,
       line.attempt ->> 'outcome' AS outcome,
       to_timestamp((line.attempt ->> 'at')::bigint / 1000.0) AS at,
       (line.attempt ->> 'latency_ms')::bigint AS latency_ms,
       line.attempt ->> 'command' AS command_id,
       (line.attempt ->> 'fingerprint')::bigint AS fingerprint
FROM ride_accept_attempts a
CROSS JOIN LATERAL json_array_elements(a.attempts) WITH ORDINALITY AS line(attempt, n);

CREATE TABLE driver_states (
    id uuid PRIMARY KEY,
    shard smallint NOT NULL,
    online boolean NOT NULL,
    category text,
    vehicle_id uuid,
    version bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE timers (
    entity_id uuid PRIMARY KEY,
    entity_kind text NOT NULL,
    shard smallint NOT NULL,
    due_at timestamptz NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE timers IS 'The next deadline of each entity that has one.';

CREATE TABLE command_results (
    principal uuid NOT NULL,
    id text NOT NULL CHECK (length(id) <= 255),
    owner uuid NOT NULL,
    fingerprint bigint NOT NULL,
    outcome text NOT NULL,
    version bigint NOT NULL,
    body text,
    at timestamptz NOT NULL,
    PRIMARY KEY (principal, id)
);
COMMENT ON COLUMN command_results.outcome IS 'ok, or the code of the refusal';
CREATE INDEX command_results_of_owner ON command_results (owner, at);

CREATE TABLE streams (
    user_id uuid PRIMARY KEY,
    epoch text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN streams.epoch IS 'Changes only when history was lost.';

CREATE TABLE stream_events (
    user_id uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    op text NOT NULL,
    key uuid NOT NULL,
    version bigint NOT NULL,
    expires_at timestamptz,
    urgent boolean NOT NULL,
    at timestamptz NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (user_id, seq)
);

-- refuse_change() is of 0001_accounts.
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER attempts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ride_accept_attempts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT USAGE ON SCHEMA public TO ibora_app;
        GRANT SELECT, INSERT ON events, ride_accept_attempts, ride_offers, streams TO ibora_app;
        GRANT SELECT, INSERT, UPDATE ON node_fence, rides, driver_states TO ibora_app;
        GRANT SELECT, UPDATE ON shard_owner TO ibora_app;
        GRANT SELECT, INSERT, DELETE ON journal_batches, command_results, stream_events
            TO ibora_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON timers TO ibora_app;
        GRANT SELECT ON ride_offer_lines, ride_accept_attempt_lines TO ibora_app;
    END IF;
END $$;
