-- Who is at work: a row an engine that owns shards, renewed while it lives. By the database's clock.
-- It only says whose silence has lasted long enough. What keeps two engines from writing for one
-- shard is the fence, which journal_write checks in every commit.

CREATE TABLE node_lease (
    node text PRIMARY KEY,
    incarnation bigint NOT NULL,
    lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON COLUMN node_lease.incarnation IS 'As in node_fence, from which a later start is told.';

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON node_lease TO ibora_app;
    END IF;
END $$;
