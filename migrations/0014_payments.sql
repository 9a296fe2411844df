-- Payments: what is to be paid by Pix, the charges made for it, the Pix that came in, what goes
-- back, and what drivers have earned by it and is held.
--
-- Written by the journal alone, in the commit of the decision that caused them. Amounts are whole
-- centavos. No row holds a person's key, name or number: who paid is asked of the provider.

CREATE TABLE payment_intents (
    id           uuid        PRIMARY KEY,
    shard        smallint    NOT NULL,
    ride_id      uuid,
    passenger_id uuid,
    driver_id    uuid,
    amount       bigint      NOT NULL CHECK (amount > 0),
    status       text        NOT NULL
        CHECK (status IN ('pending', 'expired', 'paid', 'refunded', 'unmatched')),
    version      bigint      NOT NULL,
    opened_at    timestamptz NOT NULL,
    state        text        NOT NULL,
    CONSTRAINT payment_intents_one_a_ride UNIQUE (ride_id),
    CONSTRAINT payment_intents_whose CHECK ((ride_id IS NULL) = (status = 'unmatched')
        AND (ride_id IS NULL) = (passenger_id IS NULL) AND (ride_id IS NULL) = (driver_id IS NULL))
) WITH (fillfactor = 70);
COMMENT ON TABLE payment_intents IS
    'A payment a ride that ended with something to pay by Pix, and one a Pix that nobody asked for.';
CREATE INDEX payment_intents_owed ON payment_intents (passenger_id)
    WHERE status IN ('pending', 'expired');
CREATE INDEX payment_intents_of_passenger ON payment_intents (passenger_id, opened_at);

CREATE TABLE pix_charges (
    txid       text        PRIMARY KEY,
    payment_id uuid        NOT NULL,
    shard      smallint    NOT NULL,
    amount     bigint      NOT NULL CHECK (amount > 0),
    status     text        NOT NULL CHECK (status IN ('making', 'live', 'ended', 'refused')),
    copy_paste text,
    made_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 70);
COMMENT ON COLUMN pix_charges.expires_at IS 'By us: the provider has no such state.';
-- The last line: nobody is shown two codes for one thing.
CREATE UNIQUE INDEX pix_charges_one_open ON pix_charges (payment_id)
    WHERE status IN ('making', 'live');

CREATE TABLE pix_received (
    end_to_end  text        PRIMARY KEY CHECK (octet_length(end_to_end) <= 64),
    payment_id  uuid        NOT NULL,
    shard       smallint    NOT NULL,
    txid        text,
    amount      bigint      NOT NULL CHECK (amount > 0),
    good_for    text        NOT NULL CHECK (good_for IN
        ('settled', 'settled_late', 'duplicate', 'wrong_amount', 'stray')),
    received_at timestamptz NOT NULL
);
COMMENT ON TABLE pix_received IS 'Confirmed by the provider. A Pix is taken in once, for ever.';
CREATE INDEX pix_received_of_payment ON pix_received (payment_id);
-- The last line: a payment is settled once.
CREATE UNIQUE INDEX pix_received_settles_once ON pix_received (payment_id)
    WHERE good_for IN ('settled', 'settled_late');

CREATE TABLE pix_refunds (
    end_to_end text        NOT NULL,
    id         text        NOT NULL,
    payment_id uuid        NOT NULL,
    shard      smallint    NOT NULL,
    amount     bigint      NOT NULL CHECK (amount > 0),
    cause      text        NOT NULL,
    status     text        NOT NULL CHECK (status IN ('asked', 'done', 'failed')),
    asked_at   timestamptz NOT NULL,
    CONSTRAINT pix_refunds_pkey PRIMARY KEY (end_to_end, id)
) WITH (fillfactor = 70);
CREATE INDEX pix_refunds_of_payment ON pix_refunds (payment_id);

CREATE TABLE holds (
    ride_id    uuid        NOT NULL,
    due        text        NOT NULL CHECK (due IN ('fare', 'cancel', 'tip')),
    driver_id  uuid        NOT NULL,
    amount     bigint      NOT NULL CHECK (amount > 0),
    taken      bigint      NOT NULL DEFAULT 0 CHECK (taken >= 0),
    released   bigint      NOT NULL DEFAULT 0 CHECK (released >= 0),
    release_at timestamptz NOT NULL,
    CONSTRAINT holds_pkey PRIMARY KEY (ride_id, due),
    CONSTRAINT holds_whole CHECK (taken + released <= amount)
) WITH (fillfactor = 70);
COMMENT ON TABLE holds IS
    'A driver''s share of a ride that was paid. The payment writes it, his wallet takes from it.';
CREATE INDEX holds_of_driver ON holds (driver_id, release_at);

-- Writes rows of payments: p_ payments, c_ charges, i_ what came in, f_ refunds, h_ holds, and k_,
-- deadlines given to others, which never put off an earlier one.
CREATE FUNCTION payment_write(
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
        ON CONFLICT (id) DO UPDATE SET status = excluded.status, version = excluded.version,
            state = excluded.state;
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

-- refuse_change() is of 0001_accounts.
CREATE TRIGGER pix_received_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pix_received
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT SELECT, INSERT ON pix_received TO ibora_app;
        GRANT SELECT, INSERT, UPDATE ON payment_intents, pix_charges, pix_refunds, holds
            TO ibora_app;
    END IF;
END $$;
