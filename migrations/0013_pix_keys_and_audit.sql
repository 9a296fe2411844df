-- Whom drivers are paid to, whether anybody is paid at all, and one view of all that is audited.

-- A row a change: the highest version is the key in force. Two changes at once cannot both be it.
CREATE TABLE driver_pix_keys (
    driver_id   uuid        NOT NULL,
    version     integer     NOT NULL CHECK (version > 0),
    shard       smallint    NOT NULL,
    kind        text        NOT NULL,
    pix_key     text        NOT NULL,
    set_at      timestamptz NOT NULL,
    usable_from timestamptz NOT NULL,
    CONSTRAINT driver_pix_keys_pkey PRIMARY KEY (driver_id, version),
    CONSTRAINT driver_pix_keys_driver_fkey FOREIGN KEY (driver_id) REFERENCES drivers (id),
    CONSTRAINT driver_pix_keys_shard_check CHECK (shard BETWEEN 0 AND 1023),
    CONSTRAINT driver_pix_keys_kind_check
        CHECK (kind IN ('cpf', 'cnpj', 'email', 'phone', 'random')),
    CONSTRAINT driver_pix_keys_key_check CHECK (char_length(pix_key) BETWEEN 1 AND 77),
    CONSTRAINT driver_pix_keys_cooling_check CHECK (usable_from >= set_at)
);
COMMENT ON COLUMN driver_pix_keys.usable_from IS
    'Domain time. Later than set_at where it replaced another key: nothing is paid to it before.';

-- A row a turn of the switch; the latest says. Empty: payouts go out.
CREATE TABLE payout_switch (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stopped boolean     NOT NULL,
    reason  text        NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 500),
    by_user uuid,
    at      timestamptz NOT NULL
);
COMMENT ON COLUMN payout_switch.by_user IS 'Empty: the system itself.';

-- refuse_change() is of 0001_accounts.
CREATE TRIGGER payout_switch_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payout_switch
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What is booked is audited by itself: financial events are as append-only as the trail, and in the
-- commit of what caused them. The view shows both as one.
CREATE INDEX financial_events_at_idx ON financial_events (recorded_at, id);
CREATE INDEX audit_logs_user_idx ON audit_logs (user_id, at) WHERE user_id IS NOT NULL;

CREATE VIEW audit_trail AS
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
           FROM ledger_entries e JOIN ledger_accounts a ON a.code = e.code
           WHERE e.event_id = f.id AND e.recorded_at = f.recorded_at))::text,
       f.recorded_at
FROM financial_events f;
COMMENT ON VIEW audit_trail IS 'Everything that somebody may have to answer for.';

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT SELECT, INSERT ON driver_pix_keys, payout_switch TO ibora_app;
        GRANT SELECT ON audit_trail TO ibora_app;
    END IF;
END $$;
