-- Payouts, and what drivers' wallets take from holds and let go of.
--
-- Written by the journal alone, in the commit of the decision that caused them. Amounts are whole
-- centavos. A payout's state holds the key that it is paid to: personal, and shown to nobody whole.

COMMENT ON COLUMN holds.released IS 'What of it its driver may take out since its time has come.';
DROP INDEX holds_of_driver;
CREATE INDEX holds_of_driver ON holds (driver_id) WHERE taken + released < amount;

CREATE TABLE payouts (
    id        uuid        PRIMARY KEY,
    shard     smallint    NOT NULL,
    driver_id uuid        NOT NULL,
    status    text        NOT NULL CHECK (status IN ('awaiting_approval', 'queued', 'in_flight',
        'unclear', 'done', 'returned', 'failed', 'rejected')),
    amount    bigint      NOT NULL CHECK (amount > 0),
    asked_at  timestamptz NOT NULL,
    version   bigint      NOT NULL CHECK (version > 0),
    state     text        NOT NULL
) WITH (fillfactor = 60);
COMMENT ON COLUMN payouts.id IS 'Also its id at the provider, for ever.';
COMMENT ON COLUMN payouts.state IS
    'The payout as JSON; the columns are what the database indexes.';
CREATE INDEX payouts_of_driver ON payouts (driver_id, id);
CREATE INDEX payouts_unfinished ON payouts (driver_id)
    WHERE status IN ('awaiting_approval', 'queued', 'in_flight', 'unclear');
CREATE INDEX payouts_in_flight ON payouts (id) WHERE status IN ('in_flight', 'unclear');

-- Writes rows of wallets: h_ what was taken from holds and let go of, p_ payouts.
CREATE FUNCTION payout_write(
    h_ride uuid[], h_due text[], h_taken bigint[], h_released bigint[],
    p_id uuid[], p_shard smallint[], p_driver uuid[], p_status text[], p_amount bigint[],
    p_asked timestamptz[], p_version bigint[], p_state text[]
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE holds h SET taken = u.taken, released = u.released
        FROM unnest(h_ride, h_due, h_taken, h_released) AS u(ride, due, taken, released)
        WHERE h.ride_id = u.ride AND h.due = u.due;
    INSERT INTO payouts (id, shard, driver_id, status, amount, asked_at, version, state)
        SELECT * FROM unnest(p_id, p_shard, p_driver, p_status, p_amount, p_asked, p_version,
                             p_state)
        ON CONFLICT (id) DO UPDATE SET status = excluded.status, version = excluded.version,
            state = excluded.state;
    RETURN true;
END $$;

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT SELECT, INSERT, UPDATE ON payouts TO ibora_app;
    END IF;
END $$;
