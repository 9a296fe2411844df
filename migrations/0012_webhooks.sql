-- What the Pix provider tells: callbacks as they came, and their elements, each once.
--
-- Written by the journal alone. A callback is a hint: nothing here moves money. The same elements
-- come from the provider's lists where a callback was lost.

CREATE TABLE webhook_events (
    digest      bytea       PRIMARY KEY CHECK (octet_length(digest) = 32),
    body        bytea       NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE webhook_events IS
    'Bodies byte for byte, under their SHA-256: one that comes again is stored once.';

CREATE TABLE pix_notices (
    id          uuid        PRIMARY KEY,
    kind        text        NOT NULL,
    e2e_id      text        NOT NULL,
    part        text        NOT NULL,
    status      text        NOT NULL,
    source      text        NOT NULL,
    event       bytea       REFERENCES webhook_events (digest),
    body        text        NOT NULL,
    state       text        NOT NULL DEFAULT 'new',
    tries       integer     NOT NULL DEFAULT 0,
    received_at timestamptz NOT NULL DEFAULT now(),
    due_at      timestamptz NOT NULL DEFAULT now(),
    -- A receipt and its refunds have one number from end to end: it alone says nothing.
    CONSTRAINT pix_notices_key UNIQUE (kind, e2e_id, part, status),
    CONSTRAINT pix_notices_kind_check CHECK
        (kind IN ('PIX_RECEBIDO', 'PIX_ENVIADO', 'DEVOLUCAO_RECEBIDA', 'DEVOLUCAO_ENVIADA')),
    CONSTRAINT pix_notices_e2e_id_check CHECK (e2e_id ~ '^[A-Za-z0-9]{1,64}$'),
    CONSTRAINT pix_notices_source_check CHECK (source IN ('webhook', 'list')),
    CONSTRAINT pix_notices_state_check CHECK
        (state IN ('new', 'handed', 'parked', 'done', 'forged'))
) WITH (fillfactor = 80);
COMMENT ON COLUMN pix_notices.part IS 'Of a refund or return, its id; empty for the Pix itself.';
COMMENT ON COLUMN pix_notices.body IS 'The element, or the row of the list, as JSON.';
COMMENT ON COLUMN pix_notices.due_at IS 'When it is looked at next, in the first three states.';
CREATE INDEX pix_notices_due ON pix_notices (due_at) WHERE state IN ('new', 'handed', 'parked');

-- refuse_change() is of 0001_accounts.
CREATE TRIGGER webhook_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON webhook_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT SELECT, INSERT ON webhook_events TO ibora_app;
        GRANT SELECT, INSERT, UPDATE (state, tries, due_at, source, body) ON pix_notices
            TO ibora_app;
    END IF;
END $$;
