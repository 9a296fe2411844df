-- Accounts: people, drivers, vehicles, refresh token families and the audit trail.
--
-- Written by the journal alone. Names of constraints are part of the code's contract: the journal
-- reports a refused row by the name of the constraint that refused it.
-- `shard` is ibora_domain::ids::Shard of the row's own id, so that shards can be moved one day.

CREATE TABLE users (
    id            uuid        CONSTRAINT users_pkey PRIMARY KEY,
    shard         smallint    NOT NULL,
    role          text        NOT NULL,
    name          text        NOT NULL,
    email         text        NOT NULL,
    phone         text,
    cpf           text,
    password_hash text, -- NULL: cannot log in (simulated people)
    status        text        NOT NULL DEFAULT 'active',
    created_at    timestamptz NOT NULL,
    CONSTRAINT users_email_key UNIQUE (email),
    CONSTRAINT users_phone_key UNIQUE (phone),
    CONSTRAINT users_cpf_key UNIQUE (cpf),
    CONSTRAINT users_shard_check CHECK (shard BETWEEN 0 AND 1023),
    CONSTRAINT users_role_check CHECK (role IN ('passenger', 'driver', 'admin', 'partner')),
    CONSTRAINT users_name_check CHECK (char_length(name) BETWEEN 1 AND 120),
    CONSTRAINT users_email_check CHECK (email = lower(email) AND octet_length(email) <= 254),
    CONSTRAINT users_phone_check CHECK (phone ~ '^\+[1-9][0-9]{7,14}$'),
    CONSTRAINT users_cpf_check CHECK (cpf ~ '^[0-9]{11}$'),
    CONSTRAINT users_status_check CHECK (status IN ('active', 'suspended'))
);

CREATE TABLE drivers (
    id                uuid        CONSTRAINT drivers_pkey PRIMARY KEY,
    shard             smallint    NOT NULL,
    approval          text        NOT NULL DEFAULT 'pending',
    approval_reason   text,
    reviewed_by       uuid,
    reviewed_at       timestamptz,
    rating_hundredths smallint    NOT NULL DEFAULT 500, -- 5.00
    CONSTRAINT drivers_user_fkey FOREIGN KEY (id) REFERENCES users (id),
    CONSTRAINT drivers_reviewer_fkey FOREIGN KEY (reviewed_by) REFERENCES users (id),
    CONSTRAINT drivers_shard_check CHECK (shard BETWEEN 0 AND 1023),
    CONSTRAINT drivers_approval_check
        CHECK (approval IN ('pending', 'approved', 'rejected', 'suspended')),
    CONSTRAINT drivers_approval_reason_check CHECK (char_length(approval_reason) <= 500),
    CONSTRAINT drivers_rating_check CHECK (rating_hundredths BETWEEN 100 AND 500)
);

CREATE INDEX drivers_approval_idx ON drivers (approval, id);

CREATE TABLE vehicles (
    id         uuid        CONSTRAINT vehicles_pkey PRIMARY KEY,
    shard      smallint    NOT NULL,
    driver_id  uuid        NOT NULL,
    plate      text        NOT NULL,
    make       text        NOT NULL,
    model      text        NOT NULL,
    color      text        NOT NULL,
    year       smallint    NOT NULL,
    categories text[]      NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT vehicles_driver_fkey FOREIGN KEY (driver_id) REFERENCES drivers (id),
    -- A car may serve several drivers, one at a time, so a plate is unique only within a driver.
    CONSTRAINT vehicles_driver_plate_key UNIQUE (driver_id, plate),
    CONSTRAINT vehicles_shard_check CHECK (shard BETWEEN 0 AND 1023),
    CONSTRAINT vehicles_plate_check CHECK (plate ~ '^[A-Z]{3}[0-9][0-9A-Z][0-9]{2}$'),
    CONSTRAINT vehicles_make_check CHECK (char_length(make) BETWEEN 1 AND 40),
    CONSTRAINT vehicles_model_check CHECK (char_length(model) BETWEEN 1 AND 40),
    CONSTRAINT vehicles_color_check CHECK (char_length(color) BETWEEN 1 AND 40),
    CONSTRAINT vehicles_year_check CHECK (year BETWEEN 1950 AND 2200),
    CONSTRAINT vehicles_categories_check CHECK (
        cardinality(categories) BETWEEN 1 AND 5
        AND categories <@ ARRAY['economy', 'comfort', 'premium', 'moto', 'delivery']
    )
);

-- One family a login. Only hashes: who reads this table cannot log in with what is in it.
CREATE TABLE token_families (
    id            uuid        CONSTRAINT token_families_pkey PRIMARY KEY,
    shard         smallint    NOT NULL,
    user_id       uuid        NOT NULL,
    current_hash  bytea       NOT NULL,
    previous_hash bytea,
    rotated_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    revoked_at    timestamptz,
    created_at    timestamptz NOT NULL,
    CONSTRAINT token_families_user_fkey FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT token_families_shard_check CHECK (shard BETWEEN 0 AND 1023),
    CONSTRAINT token_families_current_hash_check CHECK (octet_length(current_hash) = 32),
    CONSTRAINT token_families_previous_hash_check CHECK (octet_length(previous_hash) = 32)
);

CREATE INDEX token_families_user_idx ON token_families (user_id);
CREATE INDEX token_families_expiry_idx ON token_families (expires_at);

-- The audit trail: who did what to what. Append-only; partitioned so that old months can leave
-- as a whole. No foreign keys: a row outlives what it speaks of.
CREATE TABLE audit_logs (
    id          uuid        NOT NULL,
    shard       smallint    NOT NULL, -- of entity_id
    action      text        NOT NULL,
    entity_type text        NOT NULL,
    entity_id   uuid        NOT NULL,
    user_id     uuid,
    user_type   text        NOT NULL,
    ip_address  inet,
    user_agent  text,
    request_id  text,
    changes     jsonb       NOT NULL,
    at          timestamptz NOT NULL,
    CONSTRAINT audit_logs_pkey PRIMARY KEY (id, at),
    CONSTRAINT audit_logs_shard_check CHECK (shard BETWEEN 0 AND 1023),
    CONSTRAINT audit_logs_user_type_check
        CHECK (user_type IN ('passenger', 'driver', 'admin', 'partner', 'system'))
) PARTITION BY RANGE (at);

CREATE TABLE audit_logs_default PARTITION OF audit_logs DEFAULT;

CREATE INDEX audit_logs_at_idx ON audit_logs (at, id);
CREATE INDEX audit_logs_entity_idx ON audit_logs (entity_type, entity_id, at);

-- Refuses every change of a row that is there. The error carries the name of the table.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege', TABLE = TG_TABLE_NAME;
END
$$;

-- Row triggers of a partitioned table reach its partitions, statement triggers do not: a new
-- partition needs its own for TRUNCATE.
CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_logs_default_no_truncate BEFORE TRUNCATE ON audit_logs_default
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The engine's role has only what it uses; the migrating role owns the tables.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT SELECT, INSERT, UPDATE ON users, drivers, vehicles, token_families TO ibora_app;
        GRANT DELETE ON token_families TO ibora_app;
        GRANT SELECT, INSERT ON audit_logs TO ibora_app;
    END IF;
END
$$;
