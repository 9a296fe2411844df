-- Tips, which are payments beside that of their ride, and debts that end without being paid.

ALTER TABLE payment_intents
    DROP CONSTRAINT payment_intents_one_a_ride,
    DROP CONSTRAINT payment_intents_status_check,
    ADD CONSTRAINT payment_intents_status_check CHECK (status IN
        ('pending', 'expired', 'paid', 'refunded', 'unmatched', 'waived', 'lapsed', 'written_off'));
COMMENT ON TABLE payment_intents IS
    'A payment a ride that ended with something to pay, one a ride that was tipped, and one a Pix
that nobody asked for. Their ids are made of the ride''s and of the Pix''s: there is no second one.';
CREATE INDEX payment_intents_of_ride ON payment_intents (ride_id);
-- What keeps its passenger from riding; tips, which do not, are few and end soon.
DROP INDEX payment_intents_owed;
CREATE INDEX payment_intents_owed ON payment_intents (passenger_id)
    WHERE status IN ('pending', 'expired', 'written_off');
-- What grows old.
CREATE INDEX payment_intents_counted_on ON payment_intents (opened_at)
    WHERE status IN ('pending', 'expired');

-- As in 0014_payments, but that a tip that is given again may be of another amount.
CREATE OR REPLACE FUNCTION payment_write(
    p_id uuid[], p_shard smallint[], p_ride uuid[], p_passenger uuid[], p_driver uuid[],
    p_amount bigint[], p_status text[], p_version bigint[], p_opened timestamptz[], p_state text[],
    c_txid text[], c_payment uuid[], c_shard smallint[], c_amount bigint[], c_status text[],
    c_copy text[], c_made timestamptz[], c_expires timestamptz[],
    i_pix text[], i_payment uuid[], i_shard smallint[], i_txid text[], i_amount bigint[],
    i_good_for text[], i_at timestamptz[],
    f_pix text[], f_id text[], f_payment uuid[], f_shard smallint[], f_amount bigint[],
    f_cause text[], f_status text[], f_at timestamptz[],
    h_ride uuid[], h_due text[], h_driver uuid[], h_amount bigint[], h_release timestamptz[],
    k_entity uuid[], k_kind text[], k_shard smallint[], k_due timestamptz[]
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payment_intents (id, shard, ride_id, passenger_id, driver_id, amount, status,
                                 version, opened_at, state)
        SELECT * FROM unnest(p_id, p_shard, p_ride, p_passenger, p_driver, p_amount, p_status,
                             p_version, p_opened, p_state)
        ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, status = excluded.status,
            version = excluded.version, opened_at = excluded.opened_at, state = excluded.state;
    -- Those that end first: one that follows may not stand beside the one before it.
    INSERT INTO pix_charges (txid, payment_id, shard, amount, status, copy_paste, made_at,
                             expires_at)
        SELECT c.* FROM unnest(c_txid, c_payment, c_shard, c_amount, c_status, c_copy, c_made,
                               c_expires) AS c(txid, payment, shard, amount, status, copy, made,
                                               expires)
        ORDER BY c.status IN ('making', 'live')
        ON CONFLICT (txid) DO UPDATE SET status = excluded.status,
            copy_paste = excluded.copy_paste;
    INSERT INTO pix_received (end_to_end, payment_id, shard, txid, amount, good_for, received_at)
        SELECT * FROM unnest(i_pix, i_payment, i_shard, i_txid, i_amount, i_good_for, i_at);
    INSERT INTO pix_refunds (end_to_end, id, payment_id, shard, amount, cause, status, asked_at)
        SELECT * FROM unnest(f_pix, f_id, f_payment, f_shard, f_amount, f_cause, f_status, f_at)
        ON CONFLICT (end_to_end, id) DO UPDATE SET status = excluded.status;
    INSERT INTO holds (ride_id, due, driver_id, amount, release_at)
        SELECT * FROM unnest(h_ride, h_due, h_driver, h_amount, h_release);
    INSERT INTO timers AS t (entity_id, entity_kind, shard, due_at)
        SELECT * FROM unnest(k_entity, k_kind, k_shard, k_due)
        ON CONFLICT (entity_id) DO UPDATE SET due_at = least(t.due_at, excluded.due_at);
    RETURN true;
END $$;
