-- The last check of financial events made once for all that a statement adds, and the trail in
-- months.

-- For each event by itself, planned anew over all months, the check was half of what a commit cost.
-- What was added and not checked yet, a row a statement; empty outside of transactions. Nobody but
-- the two triggers may write here.
CREATE UNLOGGED TABLE ledger_unchecked (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at timestamptz NOT NULL
);

CREATE FUNCTION ledger_events_added() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO ledger_unchecked (recorded_at) SELECT DISTINCT recorded_at FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_events_added AFTER INSERT ON financial_events
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_events_added();

-- The last line: the postings of each event are all there and sum to zero, when it commits.
CREATE FUNCTION ledger_events_balance() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    wrong text;
BEGIN
    SELECT f.key INTO wrong
        FROM financial_events f
        CROSS JOIN LATERAL (SELECT sum(e.amount) AS total, count(*) AS lines FROM ledger_entries e
            WHERE e.event_id = f.id AND e.recorded_at = NEW.recorded_at) p
        WHERE f.recorded_at = NEW.recorded_at
          AND (p.total IS DISTINCT FROM 0 OR p.lines <> f.lines)
        LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'financial event % does not balance', wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_event_balances';
    END IF;
    DELETE FROM ledger_unchecked WHERE id = NEW.id;
    RETURN NULL;
END $$;

DROP TRIGGER ledger_event_balances ON financial_events;
DROP FUNCTION ledger_event_balances();
CREATE CONSTRAINT TRIGGER ledger_event_balances AFTER INSERT ON ledger_unchecked
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_events_balance();

-- Refunds without an end are counted every few seconds.
CREATE INDEX pix_refunds_asked ON pix_refunds (asked_at) WHERE status = 'asked';

-- As ledger_make_months, of the trail. Its row trigger reaches new months by itself.
CREATE FUNCTION audit_make_months(p_from timestamptz, p_months integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
DECLARE
    first timestamp := date_trunc('month', p_from AT TIME ZONE 'UTC');
    month timestamp;
    made integer := 0;
    named text;
BEGIN
    FOR ahead IN 0 .. p_months - 1 LOOP
        month := first + ahead * interval '1 month';
        named := 'audit_logs_' || to_char(month, 'YYYY_MM');
        CONTINUE WHEN to_regclass('public.' || named) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE public.%I PARTITION OF public.audit_logs
                            FOR VALUES FROM (%L) TO (%L)', named, month AT TIME ZONE 'UTC',
                           (month + interval '1 month') AT TIME ZONE 'UTC');
            EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE
                            ON public.%I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
                           named);
            made := made + 1;
        EXCEPTION WHEN check_violation THEN
            RAISE WARNING 'entries of % lie in the default partition and stay there', named;
        END;
    END LOOP;
    RETURN made;
END $$;
REVOKE ALL ON FUNCTION audit_make_months(timestamptz, integer) FROM PUBLIC;

-- What is there moves into its months. Its times are domain time, which may be ahead of them all.
CREATE TEMPORARY TABLE audit_logs_before ON COMMIT DROP AS SELECT * FROM audit_logs;
DROP TABLE audit_logs_default;
SELECT audit_make_months(m.first, 14 + (extract(year FROM age(now(), m.first)) * 12
                                        + extract(month FROM age(now(), m.first)))::integer)
    FROM (SELECT least(min(at), now()) AS first FROM audit_logs_before) m;
CREATE TABLE audit_logs_default PARTITION OF audit_logs DEFAULT;
INSERT INTO audit_logs SELECT * FROM audit_logs_before;
CREATE TRIGGER audit_logs_default_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs_default
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        REVOKE ALL ON ledger_unchecked FROM ibora_app;
        GRANT EXECUTE ON FUNCTION audit_make_months(timestamptz, integer) TO ibora_app;
    END IF;
END $$;
