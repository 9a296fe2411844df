-- The ledger: financial events, their postings, and the balances these add up to.
--
-- Written by the journal alone, in the commit of the decision that caused them. Amounts are whole
-- centavos, debits positive. An account is a code of the chart and an owner (nil: the platform).

CREATE TABLE ledger_accounts (
    code    smallint PRIMARY KEY,
    name    text     NOT NULL UNIQUE,
    side    text     NOT NULL CHECK (side IN ('debit', 'credit')),
    floored boolean  NOT NULL,
    -- Rides that ended before it are booked nowhere.
    opened_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ledger_accounts IS 'The chart; ibora_domain::ledger::Account is the same.';
COMMENT ON COLUMN ledger_accounts.floored IS
    'Its balance, on its side, never falls below zero; its postings are numbered.';

INSERT INTO ledger_accounts (code, name, side, floored) VALUES
    (1000, 'psp_cash', 'debit', false),
    (1010, 'psp_clearing', 'debit', false),
    (1020, 'payout_in_transit', 'credit', false),
    (1030, 'refund_in_transit', 'credit', false),
    (1040, 'psp_blocked', 'debit', false),
    (1100, 'passenger_receivable', 'debit', true),
    (1110, 'driver_receivable', 'debit', true),
    (2000, 'driver_held', 'credit', true),
    (2005, 'driver_uncollected', 'credit', false),
    (2010, 'driver_available', 'credit', true),
    (2020, 'passenger_credit', 'credit', true),
    (2100, 'suspense', 'credit', false),
    (2110, 'dispute_escrow', 'credit', true),
    (2200, 'tax_payable', 'credit', false),
    (3000, 'equity', 'credit', false),
    (4000, 'commission', 'credit', false),
    (4010, 'cancel_fees', 'credit', false),
    (4020, 'payout_fees', 'credit', false),
    (5000, 'promotions', 'debit', false),
    (5010, 'goodwill_refunds', 'debit', false),
    (5020, 'psp_fees', 'debit', false),
    (5030, 'bad_debt', 'debit', false);

-- Unpartitioned, so that a key is unique for ever.
CREATE TABLE financial_events (
    id           uuid        PRIMARY KEY,
    key          text        NOT NULL CHECK (octet_length(key) <= 255),
    kind         text        NOT NULL,
    subject_kind text        NOT NULL,
    subject_id   uuid        NOT NULL,
    shard        smallint    NOT NULL,
    reverses     text,
    lines        smallint    NOT NULL CHECK (lines >= 2),
    occurred_at  timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL,
    CONSTRAINT financial_events_key UNIQUE (key)
);
COMMENT ON COLUMN financial_events.shard IS 'Of the entity that decided it.';
COMMENT ON COLUMN financial_events.reverses IS
    'The key of the event that this one takes back; its own is made of it, and so taken once.';
CREATE INDEX financial_events_of_subject ON financial_events (subject_id, recorded_at);

CREATE TABLE ledger_entries (
    event_id      uuid        NOT NULL,
    line          smallint    NOT NULL,
    code          smallint    NOT NULL,
    owner         uuid        NOT NULL,
    amount        bigint      NOT NULL CHECK (amount <> 0),
    version       bigint,
    balance_after bigint,
    recorded_at   timestamptz NOT NULL,
    CONSTRAINT ledger_entries_pkey PRIMARY KEY (event_id, line, recorded_at),
    CONSTRAINT ledger_entries_code_check CHECK (code IN (1000, 1010, 1020, 1030, 1040, 1100, 1110,
        2000, 2005, 2010, 2020, 2100, 2110, 2200, 3000, 4000, 4010, 4020, 5000, 5010, 5020, 5030)),
    CONSTRAINT ledger_entries_numbered_check CHECK ((version IS NOT NULL)
        = (code IN (1100, 1110, 2000, 2010, 2020, 2110))
        AND (version IS NULL) = (balance_after IS NULL)),
    CONSTRAINT ledger_entries_floor CHECK (CASE
        WHEN code IN (1100, 1110) THEN balance_after >= 0
        WHEN code IN (2000, 2010, 2020, 2110) THEN balance_after <= 0
        ELSE true END)
) PARTITION BY RANGE (recorded_at);
COMMENT ON COLUMN ledger_entries.version IS
    'Counts the postings of an account that has a floor, from 1, without gap.';
CREATE TABLE ledger_entries_default PARTITION OF ledger_entries DEFAULT;
CREATE INDEX ledger_entries_of_account ON ledger_entries (owner, code, recorded_at);

-- An account with a floor has one row, slot 0, which its postings lock. Of an account without one
-- each writer has a row of its own, so that no two ever wait for each other: its balance is their
-- sum.
CREATE TABLE ledger_running_balances (
    code    smallint NOT NULL REFERENCES ledger_accounts (code),
    owner   uuid     NOT NULL,
    slot    smallint NOT NULL,
    balance bigint   NOT NULL,
    version bigint   NOT NULL,
    CONSTRAINT ledger_running_balances_pkey PRIMARY KEY (owner, code, slot),
    CONSTRAINT ledger_running_balances_floor CHECK (CASE
        WHEN code IN (1100, 1110) THEN balance >= 0
        WHEN code IN (2000, 2010, 2020, 2110) THEN balance <= 0
        ELSE true END)
) WITH (fillfactor = 50);
COMMENT ON COLUMN ledger_running_balances.version IS 'How many postings it is the sum of.';

-- Writes financial events whole. The columns of postings name their event by its place, from 1.
CREATE FUNCTION ledger_write(
    p_slot smallint,
    f_id uuid[], f_key text[], f_kind text[], f_subject_kind text[], f_subject uuid[],
    f_shard smallint[], f_reverses text[], f_lines smallint[], f_at timestamptz[],
    p_event integer[], p_line smallint[], p_code smallint[], p_owner uuid[], p_amount bigint[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    -- One moment for all: it is later than that of any event that these could rest on.
    moment timestamptz := clock_timestamp();
BEGIN
    INSERT INTO financial_events (id, key, kind, subject_kind, subject_id, shard, reverses, lines,
                                  occurred_at, recorded_at)
        SELECT f.*, moment FROM unnest(f_id, f_key, f_kind, f_subject_kind, f_subject, f_shard,
                                       f_reverses, f_lines, f_at) AS f;

    -- Accounts are made at first use. Always in the same order, so that two writers wait for each
    -- other but never both.
    INSERT INTO ledger_running_balances (code, owner, slot, balance, version)
        SELECT DISTINCT p.code, p.owner, s.slot, 0, 0
        FROM unnest(p_code, p_owner) AS p(code, owner)
        CROSS JOIN LATERAL (SELECT CASE WHEN p.code IN (1100, 1110, 2000, 2010, 2020, 2110)
                                   THEN 0::smallint ELSE p_slot END AS slot) s
        WHERE NOT EXISTS (SELECT FROM ledger_running_balances b
                          WHERE b.owner = p.owner AND b.code = p.code AND b.slot = s.slot)
        ORDER BY p.owner, p.code
        ON CONFLICT DO NOTHING;
    PERFORM 1 FROM ledger_running_balances b
        WHERE b.slot = 0 AND (b.owner, b.code) IN (
            SELECT p.owner, p.code FROM unnest(p_owner, p_code) AS p(owner, code)
            WHERE p.code IN (1100, 1110, 2000, 2010, 2020, 2110))
        ORDER BY b.owner, b.code FOR UPDATE;

    WITH posted AS MATERIALIZED (
        SELECT p.*, CASE WHEN p.code IN (1100, 1110, 2000, 2010, 2020, 2110)
                    THEN 0::smallint ELSE p_slot END AS slot
        FROM unnest(p_event, p_line, p_code, p_owner, p_amount)
            WITH ORDINALITY AS p(event, line, code, owner, amount, n)
    ), moved AS (
        UPDATE ledger_running_balances b
            SET balance = b.balance + s.amount, version = b.version + s.lines
            FROM (SELECT code, owner, slot, sum(amount)::bigint AS amount, count(*) AS lines
                  FROM posted GROUP BY code, owner, slot) s
            WHERE b.owner = s.owner AND b.code = s.code AND b.slot = s.slot
            RETURNING b.code, b.owner, b.slot, b.balance - s.amount AS balance,
                      b.version - s.lines AS version
    )
    INSERT INTO ledger_entries (event_id, line, code, owner, amount, version, balance_after,
                                recorded_at)
        SELECT f_id[p.event], p.line, p.code, p.owner, p.amount,
               m.version + row_number() OVER earlier,
               (m.balance + sum(p.amount) OVER earlier)::bigint,
               moment
        FROM posted p
        LEFT JOIN moved m ON m.owner = p.owner AND m.code = p.code AND p.slot = m.slot
            AND p.code IN (1100, 1110, 2000, 2010, 2020, 2110)
        WINDOW earlier AS (PARTITION BY p.owner, p.code ORDER BY p.n);
    RETURN true;
END $$;

-- The last line: the postings of an event are all there and sum to zero, when it commits.
CREATE FUNCTION ledger_event_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    total numeric;
    posted bigint;
BEGIN
    SELECT sum(amount), count(*) INTO total, posted FROM ledger_entries
        WHERE event_id = NEW.id AND recorded_at = NEW.recorded_at;
    IF total IS DISTINCT FROM 0 OR posted <> NEW.lines THEN
        RAISE EXCEPTION 'financial event % does not balance', NEW.key
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_event_balances';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_event_balances AFTER INSERT ON financial_events
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_event_balances();

-- An event takes its postings all at once, so that nothing is added to it later. Once a statement.
CREATE FUNCTION ledger_entries_whole() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT event_id, recorded_at, count(*) AS lines FROM added
                     GROUP BY event_id, recorded_at) a
        LEFT JOIN financial_events f ON f.id = a.event_id AND f.recorded_at = a.recorded_at
        WHERE f.lines IS DISTINCT FROM a.lines
    ) THEN
        RAISE EXCEPTION 'postings of no event, or not all of one'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_whole';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_entries_whole AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_whole();

-- refuse_change() is of 0001_accounts.
CREATE TRIGGER financial_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON financial_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_entries_default_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries_default
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_accounts_fixed BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_accounts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT SELECT ON ledger_accounts TO ibora_app;
        GRANT SELECT, INSERT ON financial_events, ledger_entries TO ibora_app;
        GRANT SELECT, INSERT, UPDATE ON ledger_running_balances TO ibora_app;
    END IF;
END $$;
