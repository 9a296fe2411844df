-- The provider's balance beside the ledger, once a day and whenever somebody asks, and claims of
-- fraud (MED) as the provider lists them.
--
-- Written by the journal alone. Amounts are whole centavos. Nothing is corrected by what is found.

CREATE TABLE reconciliations (
    id                 uuid        PRIMARY KEY,
    day                date        NOT NULL,
    at                 timestamptz NOT NULL DEFAULT now(),
    provider_available bigint      NOT NULL,
    provider_blocked   bigint      NOT NULL,
    ledger_cash        bigint      NOT NULL,
    ledger_clearing    bigint      NOT NULL,
    ledger_blocked     bigint      NOT NULL,
    receipts           bigint      NOT NULL,
    tariffs            bigint      NOT NULL,
    payouts            bigint      NOT NULL,
    returns            bigint      NOT NULL,
    refunds            bigint      NOT NULL,
    overdue            integer     NOT NULL,
    quiet              boolean     NOT NULL,
    difference         bigint      NOT NULL,
    CONSTRAINT reconciliations_difference CHECK (difference =
        (provider_available + provider_blocked) - (ledger_cash + ledger_clearing + ledger_blocked)
        - (receipts - tariffs - payouts + returns - refunds))
);
COMMENT ON COLUMN reconciliations.day IS 'The last whole day of São Paulo before it.';
COMMENT ON COLUMN reconciliations.receipts IS
    'This and the four after it: what the provider lists as done and the ledger has not booked.';
COMMENT ON COLUMN reconciliations.overdue IS 'How many of those are older than an hour.';
COMMENT ON COLUMN reconciliations.quiet IS
    'Nothing moved while it was read. Where something did, a difference may be of that moment.';
CREATE INDEX reconciliations_of_day ON reconciliations (day);

CREATE TABLE pix_claims (
    id        text        PRIMARY KEY,
    e2e_id    text        NOT NULL,
    protocol  text,
    amount    bigint      NOT NULL,
    status    text        NOT NULL,
    opened_at timestamptz,
    due_at    timestamptz,
    seen_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN pix_claims.status IS 'By the provider''s name, new ones too.';

-- refuse_change() is of 0001_accounts.
CREATE TRIGGER reconciliations_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reconciliations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT SELECT, INSERT ON reconciliations TO ibora_app;
        GRANT SELECT, INSERT, UPDATE ON pix_claims TO ibora_app;
    END IF;
END $$;
