-- An answer that its asker is also told by an event is stored once, as that event: a step writes a
-- fifth less.

ALTER TABLE command_results ADD COLUMN told_seq bigint;
COMMENT ON COLUMN command_results.told_seq IS
    'The event of the principal''s stream that holds the answer, where body is empty.';

DROP FUNCTION journal_write;

-- As in 0003_journal_write, with c_told.
CREATE FUNCTION journal_write(
    p_batch uuid, p_node text, p_lane smallint, p_incarnation bigint,
    p_shards smallint[], p_epochs bigint[],
    e_entity uuid[], e_seq bigint[], e_shard smallint[], e_epoch bigint[], e_kind text[],
    e_at timestamptz[], e_body text[],
    r_id uuid[], r_shard smallint[], r_status text[], r_passenger uuid[], r_driver uuid[],
    r_category text[], r_version bigint[], r_requested timestamptz[], r_state text[],
    w_ride uuid[], w_shard smallint[], w_search smallint[], w_wave integer[],
    w_offered timestamptz[], w_expires timestamptz[], w_offers text[],
    a_ride uuid[], a_shard smallint[], a_id uuid[], a_attempts text[],
    d_id uuid[], d_shard smallint[], d_online boolean[], d_category text[], d_vehicle uuid[],
    d_version bigint[],
    t_entity uuid[], t_kind text[], t_shard smallint[], t_due timestamptz[],
    t_off uuid[],
    c_principal uuid[], c_id text[], c_owner uuid[], c_fingerprint bigint[], c_outcome text[],
    c_version bigint[], c_body text[], c_told bigint[], c_at timestamptz[],
    s_user uuid[], s_seq bigint[], s_op text[], s_key uuid[], s_version bigint[],
    s_expires timestamptz[], s_urgent boolean[], s_at timestamptz[], s_body text[],
    n_user uuid[], n_epoch text[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    owned bigint;
BEGIN
    -- Waits for an earlier call with the same id that is still committing.
    INSERT INTO journal_batches (id) VALUES (p_batch) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;

    PERFORM 1 FROM node_fence
        WHERE node = p_node AND lane = p_lane AND incarnation = p_incarnation FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'node % is fenced', p_node USING ERRCODE = 'IB001';
    END IF;
    SELECT count(*) INTO owned
        FROM unnest(p_shards, p_epochs) AS mine(shard, epoch)
        JOIN shard_owner o ON o.shard = mine.shard AND o.epoch = mine.epoch AND o.node = p_node;
    IF owned <> cardinality(p_shards) THEN
        RAISE EXCEPTION 'node % lost a shard', p_node USING ERRCODE = 'IB001';
    END IF;

    IF cardinality(e_entity) > 0 THEN
        INSERT INTO events (entity_id, seq, shard, epoch, kind, at, body)
            SELECT * FROM unnest(e_entity, e_seq, e_shard, e_epoch, e_kind, e_at, e_body);
    END IF;
    IF cardinality(r_id) > 0 THEN
        INSERT INTO rides AS r (id, shard, status, passenger_id, driver_id, category, version,
                                requested_at, state)
            SELECT * FROM unnest(r_id, r_shard, r_status, r_passenger, r_driver, r_category,
                                 r_version, r_requested, r_state)
            ON CONFLICT (id) DO UPDATE SET status = excluded.status,
                driver_id = excluded.driver_id, version = excluded.version,
                state = excluded.state;
    END IF;
    IF cardinality(w_ride) > 0 THEN
        INSERT INTO ride_offers (ride_id, shard, search, wave, offered_at, expires_at, offers)
            SELECT u.ride, u.shard, u.search, u.wave, u.offered, u.expires, u.offers::json
            FROM unnest(w_ride, w_shard, w_search, w_wave, w_offered, w_expires, w_offers)
                AS u(ride, shard, search, wave, offered, expires, offers);
    END IF;
    IF cardinality(a_ride) > 0 THEN
        INSERT INTO ride_accept_attempts (ride_id, shard, id, attempts)
            SELECT u.ride, u.shard, u.id, u.attempts::json
            FROM unnest(a_ride, a_shard, a_id, a_attempts) AS u(ride, shard, id, attempts);
    END IF;
    IF cardinality(d_id) > 0 THEN
        INSERT INTO driver_states (id, shard, online, category, vehicle_id, version)
            SELECT * FROM unnest(d_id, d_shard, d_online, d_category, d_vehicle, d_version)
            ON CONFLICT (id) DO UPDATE SET online = excluded.online,
                category = excluded.category, vehicle_id = excluded.vehicle_id,
                version = excluded.version;
    END IF;
    IF cardinality(t_entity) > 0 THEN
        INSERT INTO timers (entity_id, entity_kind, shard, due_at)
            SELECT * FROM unnest(t_entity, t_kind, t_shard, t_due)
            ON CONFLICT (entity_id) DO UPDATE SET due_at = excluded.due_at;
    END IF;
    IF cardinality(t_off) > 0 THEN
        DELETE FROM timers WHERE entity_id = ANY (t_off);
    END IF;
    IF cardinality(c_principal) > 0 THEN
        INSERT INTO command_results (principal, id, owner, fingerprint, outcome, version, body,
                                     told_seq, at)
            SELECT * FROM unnest(c_principal, c_id, c_owner, c_fingerprint, c_outcome, c_version,
                                 c_body, c_told, c_at);
    END IF;
    IF cardinality(n_user) > 0 THEN
        INSERT INTO streams (user_id, epoch) SELECT * FROM unnest(n_user, n_epoch)
            ON CONFLICT DO NOTHING;
    END IF;
    IF cardinality(s_user) > 0 THEN
        INSERT INTO stream_events (user_id, seq, op, key, version, expires_at, urgent, at, body)
            SELECT * FROM unnest(s_user, s_seq, s_op, s_key, s_version, s_expires, s_urgent,
                                 s_at, s_body);
    END IF;
    RETURN true;
END $$;
