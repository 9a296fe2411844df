-- The ledger in months, of which old ones move to a history as a whole, and its balances at any
-- moment.

-- As in 0011_ledger, but that the moment is told once the accounts are locked: of an account with a
-- floor the postings then lie in time in the order of their versions, so that its balance at a past
-- moment is one that it had.
CREATE OR REPLACE FUNCTION ledger_write(
    p_slot smallint,
    f_id uuid[], f_key text[], f_kind text[], f_subject_kind text[], f_subject uuid[],
    f_shard smallint[], f_reverses text[], f_lines smallint[], f_at timestamptz[],
    p_event integer[], p_line smallint[], p_code smallint[], p_owner uuid[], p_amount bigint[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz;
BEGIN
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

    -- One moment for all: it is later than that of any event that these could rest on.
    moment := clock_timestamp();
    INSERT INTO financial_events (id, key, kind, subject_kind, subject_id, shard, reverses, lines,
                                  occurred_at, recorded_at)
        SELECT f.*, moment FROM unnest(f_id, f_key, f_kind, f_subject_kind, f_subject, f_shard,
                                       f_reverses, f_lines, f_at) AS f;

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

-- Makes the months from p_from on, this many, that are not there. A month of which the default
-- partition holds postings already stays there. The engine may call it and nothing else of the kind.
CREATE FUNCTION ledger_make_months(p_from timestamptz, p_months integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
DECLARE
    first timestamp := date_trunc('month', p_from AT TIME ZONE 'UTC');
    month timestamp;
    made integer := 0;
    named text;
BEGIN
    FOR ahead IN 0 .. p_months - 1 LOOP
        month := first + ahead * interval '1 month';
        named := 'ledger_entries_' || to_char(month, 'YYYY_MM');
        CONTINUE WHEN to_regclass('public.' || named) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE public.%I PARTITION OF public.ledger_entries
                            FOR VALUES FROM (%L) TO (%L)', named, month AT TIME ZONE 'UTC',
                           (month + interval '1 month') AT TIME ZONE 'UTC');
            EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE
                            ON public.%I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
                           named);
            made := made + 1;
        EXCEPTION WHEN check_violation THEN
            RAISE WARNING 'postings of % lie in the default partition and stay there', named;
        END;
    END LOOP;
    RETURN made;
END $$;
REVOKE ALL ON FUNCTION ledger_make_months(timestamptz, integer) FROM PUBLIC;

-- What is there moves into its months.
ALTER TABLE ledger_entries DETACH PARTITION ledger_entries_default;
SELECT ledger_make_months(m.first, 14 + (extract(year FROM age(now(), m.first)) * 12
                                         + extract(month FROM age(now(), m.first)))::integer)
    FROM (SELECT coalesce(min(recorded_at), now()) AS first FROM ledger_entries_default) m;
INSERT INTO ledger_entries SELECT * FROM ledger_entries_default;
DROP TABLE ledger_entries_default;
CREATE TABLE ledger_entries_default PARTITION OF ledger_entries DEFAULT;
CREATE TRIGGER ledger_entries_default_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries_default
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The months that were moved away. Nothing is ever written here; a month comes as a whole.
CREATE TABLE ledger_entries_history (LIKE ledger_entries INCLUDING ALL)
    PARTITION BY RANGE (recorded_at);
CREATE TRIGGER ledger_entries_history_append_only
    BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ledger_entries_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Moves the months that ended by p_before; tells their names. For the owner of the tables alone.
CREATE FUNCTION ledger_archive(p_before timestamptz) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    part record;
BEGIN
    IF p_before > date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' THEN
        RAISE EXCEPTION 'the present month is not archived' USING ERRCODE = 'check_violation';
    END IF;
    FOR part IN
        SELECT c.relname AS named, to_date(right(c.relname, 7), 'YYYY_MM')::timestamp AS month
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'ledger_entries'::regclass
          AND c.relname ~ '^ledger_entries_[0-9]{4}_[0-9]{2}$'
        ORDER BY c.relname
    LOOP
        CONTINUE WHEN (part.month + interval '1 month') AT TIME ZONE 'UTC' > p_before;
        EXECUTE format('ALTER TABLE ledger_entries DETACH PARTITION %I', part.named);
        EXECUTE format('ALTER TABLE ledger_entries_history ATTACH PARTITION %I
                        FOR VALUES FROM (%L) TO (%L)', part.named, part.month AT TIME ZONE 'UTC',
                       (part.month + interval '1 month') AT TIME ZONE 'UTC');
        RETURN NEXT part.named;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION ledger_archive(timestamptz) FROM PUBLIC;

-- Every posting ever, wherever it lies: whoever sums, sums this.
CREATE VIEW ledger_postings AS
SELECT * FROM ledger_entries UNION ALL SELECT * FROM ledger_entries_history;

-- As in 0013, over both.
CREATE OR REPLACE VIEW audit_trail AS
SELECT id, action, entity_type, entity_id, user_id, user_type, host(ip_address) AS ip_address,
       user_agent, request_id, changes::text AS changes, at
FROM audit_logs
UNION ALL
SELECT f.id, f.kind, f.subject_kind, f.subject_id, NULL::uuid, 'system'::text, NULL::text,
       NULL::text, NULL::text,
       json_build_object('key', f.key, 'reverses', f.reverses, 'postings', (
           SELECT json_agg(json_build_object('account', a.name, 'owner', nullif(e.owner,
                      '00000000-0000-0000-0000-000000000000'::uuid),
                      'amount', (e.amount / 100.0)::numeric(20, 2)::text) ORDER BY e.line)
           FROM ledger_postings e JOIN ledger_accounts a ON a.code = e.code
           WHERE e.event_id = f.id AND e.recorded_at = f.recorded_at))::text,
       f.recorded_at
FROM financial_events f;

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT SELECT ON ledger_entries_history, ledger_postings TO ibora_app;
        GRANT EXECUTE ON FUNCTION ledger_make_months(timestamptz, integer) TO ibora_app;
    END IF;
END $$;
