-- What passengers have for their rides: put in by Pix, given, or returned; and what of it has paid
-- for what.
--
-- Written by the journal alone, in the commit of the decision that caused them. Amounts are whole
-- centavos.

CREATE TABLE passenger_credits (
    id           uuid        PRIMARY KEY,
    shard        smallint    NOT NULL,
    passenger_id uuid        NOT NULL,
    kind         text        NOT NULL CHECK (kind IN ('top_up', 'goodwill', 'returned')),
    amount       bigint      NOT NULL CHECK (amount > 0),
    used         bigint      NOT NULL CHECK (used >= 0),
    payment_id   uuid,
    at           timestamptz NOT NULL,
    CONSTRAINT passenger_credits_whole CHECK (used <= amount),
    CONSTRAINT passenger_credits_from CHECK ((payment_id IS NULL) = (kind = 'goodwill'))
) WITH (fillfactor = 70);
COMMENT ON TABLE passenger_credits IS
    'Credit that came in together. Its passenger''s actor alone takes from it.';
COMMENT ON COLUMN passenger_credits.payment_id IS 'What it was put in by, or had paid for.';
CREATE INDEX passenger_credits_of_passenger ON passenger_credits (passenger_id, at);
CREATE INDEX passenger_credits_of_payment ON passenger_credits (payment_id)
    WHERE payment_id IS NOT NULL;

-- The last line: a question has one answer.
CREATE TABLE credit_uses (
    payment_id   uuid        NOT NULL,
    number       integer     NOT NULL CHECK (number > 0),
    shard        smallint    NOT NULL,
    passenger_id uuid        NOT NULL,
    amount       bigint      NOT NULL CHECK (amount >= 0),
    at           timestamptz NOT NULL,
    CONSTRAINT credit_uses_pkey PRIMARY KEY (payment_id, number)
);
COMMENT ON TABLE credit_uses IS
    'What a payment was answered that asked how much of it credit pays, nothing included.';
CREATE INDEX credit_uses_of_passenger ON credit_uses (passenger_id, at);

-- A top-up has a passenger, and no ride.
ALTER TABLE payment_intents
    DROP CONSTRAINT payment_intents_whose,
    ADD CONSTRAINT payment_intents_whose CHECK ((passenger_id IS NULL) = (status = 'unmatched')
        AND (ride_id IS NULL) = (driver_id IS NULL)
        AND (ride_id IS NULL OR passenger_id IS NOT NULL));
COMMENT ON TABLE payment_intents IS
    'A payment a ride that ended with something to pay, one a ride that was tipped, one a top-up,
and one a Pix that nobody asked for. Their ids are made of the ride''s, of the command''s and of the
Pix''s: there is no second one.';

-- Writes rows of credit: c_ lots, u_ what payments were answered.
CREATE FUNCTION credit_write(
    c_id uuid[], c_shard smallint[], c_passenger uuid[], c_kind text[], c_amount bigint[],
    c_used bigint[], c_payment uuid[], c_at timestamptz[],
    u_payment uuid[], u_number integer[], u_shard smallint[], u_passenger uuid[],
    u_amount bigint[], u_at timestamptz[]
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO passenger_credits (id, shard, passenger_id, kind, amount, used, payment_id, at)
        SELECT * FROM unnest(c_id, c_shard, c_passenger, c_kind, c_amount, c_used, c_payment, c_at)
        ON CONFLICT (id) DO UPDATE SET used = excluded.used;
    INSERT INTO credit_uses (payment_id, number, shard, passenger_id, amount, at)
        SELECT * FROM unnest(u_payment, u_number, u_shard, u_passenger, u_amount, u_at);
    RETURN true;
END $$;

-- refuse_change() is of 0001_accounts.
CREATE TRIGGER credit_uses_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_uses
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT SELECT, INSERT, UPDATE ON passenger_credits TO ibora_app;
        GRANT SELECT, INSERT ON credit_uses TO ibora_app;
    END IF;
END $$;
