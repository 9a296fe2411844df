-- Whether the database is the one that events were told from. One that was restored, or a standby
-- that was promoted without the last commits, numbers events anew that clients have had already:
-- then every stream gets a new epoch, and a client that comes back begins with a snapshot.

CREATE TABLE history (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    cluster text NOT NULL,
    timeline text NOT NULL
);
COMMENT ON TABLE history IS
'The cluster and its timeline (they change with a restored copy and with a promotion) from which
streams are numbered. Delete the row to have every stream begin anew at the next start.';

-- Called by an engine that takes the shards. True: history may have been lost, and all streams have
-- new epochs.
CREATE FUNCTION note_history() RETURNS boolean LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
DECLARE
    cluster_now text := (SELECT system_identifier::text FROM pg_control_system());
    timeline_now text := left(pg_walfile_name(pg_current_wal_lsn()), 8);
BEGIN
    IF EXISTS (SELECT FROM history WHERE cluster = cluster_now AND timeline = timeline_now) THEN
        RETURN false;
    END IF;
    DELETE FROM history;
    INSERT INTO history (cluster, timeline) VALUES (cluster_now, timeline_now);
    UPDATE streams SET epoch = left(md5(random()::text || clock_timestamp()::text || user_id), 8);
    RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION note_history() FROM public;

-- What there is was told from here.
INSERT INTO history (cluster, timeline)
SELECT system_identifier::text, left(pg_walfile_name(pg_current_wal_lsn()), 8)
FROM pg_control_system();

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT EXECUTE ON FUNCTION note_history() TO ibora_app;
        GRANT SELECT ON history TO ibora_app;
    END IF;
END $$;
