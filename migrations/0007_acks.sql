-- How far the app of each person has read its stream, and when it last said so. Written in batches
-- every few seconds; losing the last of them is harmless.

ALTER TABLE streams
    ADD COLUMN acked bigint NOT NULL DEFAULT 0 CHECK (acked >= 0),
    ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN streams.seen_at IS 'When an app of this person was last heard of, roughly.';

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT UPDATE (acked, seen_at) ON streams TO ibora_app;
    END IF;
END $$;
