-- What stands against drivers' shares: rides that somebody contests, banks' claims of fraud, refunds
-- that both bear. And what people say to it.
--
-- Written by the journal alone, in the commit of the driver's wallet that takes or freezes a share.
-- Amounts are whole centavos. Texts of evidence are personal: shown to the dispute's people only.

CREATE TABLE disputes (
    id           uuid        PRIMARY KEY,
    shard        smallint    NOT NULL,
    ride_id      uuid        NOT NULL,
    payment_id   uuid        NOT NULL,
    passenger_id uuid        NOT NULL,
    driver_id    uuid        NOT NULL,
    kind         text        NOT NULL CHECK (kind IN ('contested', 'bank_claim', 'refund')),
    status       text        NOT NULL
        CHECK (status IN ('open', 'under_review', 'for_driver', 'for_passenger')),
    escrow       bigint      NOT NULL CHECK (escrow >= 0),
    blocked      bigint      NOT NULL CHECK (blocked >= 0),
    opened_at    timestamptz NOT NULL,
    version      bigint      NOT NULL CHECK (version > 0),
    state        text        NOT NULL,
    CONSTRAINT disputes_ended_holds_nothing CHECK (
        status IN ('open', 'under_review') OR escrow = 0 AND blocked = 0)
) WITH (fillfactor = 70);
COMMENT ON COLUMN disputes.escrow IS 'What of the driver''s lies in its account of the ledger.';
COMMENT ON COLUMN disputes.blocked IS 'What the provider keeps of ours for it.';
COMMENT ON COLUMN disputes.state IS
    'The dispute as JSON; the columns are what the database indexes.';
CREATE INDEX disputes_of_driver ON disputes (driver_id, opened_at);
CREATE INDEX disputes_of_passenger ON disputes (passenger_id, opened_at) WHERE kind = 'contested';
CREATE INDEX disputes_by_time ON disputes (opened_at, id);
-- The last line: a ride is contested once.
CREATE UNIQUE INDEX disputes_contested_once ON disputes (payment_id) WHERE kind = 'contested';

CREATE TABLE dispute_evidence (
    dispute_id uuid        NOT NULL,
    number     integer     NOT NULL CHECK (number > 0),
    shard      smallint    NOT NULL,
    by_user    uuid        NOT NULL,
    role       text        NOT NULL CHECK (role IN ('passenger', 'driver', 'admin')),
    body       text        NOT NULL CHECK (char_length(body) BETWEEN 1 AND 4000),
    at         timestamptz NOT NULL,
    CONSTRAINT dispute_evidence_pkey PRIMARY KEY (dispute_id, number)
);

-- Writes rows of disputes: d_ disputes, v_ what was said to them.
CREATE FUNCTION dispute_write(
    d_id uuid[], d_shard smallint[], d_ride uuid[], d_payment uuid[], d_passenger uuid[],
    d_driver uuid[], d_kind text[], d_status text[], d_escrow bigint[], d_blocked bigint[],
    d_opened timestamptz[], d_version bigint[], d_state text[],
    v_dispute uuid[], v_number integer[], v_shard smallint[], v_by uuid[], v_role text[],
    v_body text[], v_at timestamptz[]
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO disputes (id, shard, ride_id, payment_id, passenger_id, driver_id, kind, status,
                          escrow, blocked, opened_at, version, state)
        SELECT * FROM unnest(d_id, d_shard, d_ride, d_payment, d_passenger, d_driver, d_kind,
                             d_status, d_escrow, d_blocked, d_opened, d_version, d_state)
        ON CONFLICT (id) DO UPDATE SET status = excluded.status, escrow = excluded.escrow,
            blocked = excluded.blocked, version = excluded.version, state = excluded.state;
    INSERT INTO dispute_evidence (dispute_id, number, shard, by_user, role, body, at)
        SELECT * FROM unnest(v_dispute, v_number, v_shard, v_by, v_role, v_body, v_at);
    RETURN true;
END $$;

-- A refund that both bear waits for the driver's wallet, and what is contested for its ruling.
ALTER TABLE pix_refunds DROP CONSTRAINT pix_refunds_status_check;
ALTER TABLE pix_refunds ADD CONSTRAINT pix_refunds_status_check CHECK (status IN
    ('decided', 'frozen', 'asked', 'done', 'failed', 'dropped'));

-- refuse_change() is of 0001_accounts.
CREATE TRIGGER dispute_evidence_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dispute_evidence
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT SELECT, INSERT, UPDATE ON disputes TO ibora_app;
        GRANT SELECT, INSERT ON dispute_evidence TO ibora_app;
    END IF;
END $$;
