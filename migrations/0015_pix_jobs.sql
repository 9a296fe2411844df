-- What the jobs around the Pix provider keep: how far its lists were read, and which notices it has
-- confirmed.
--
-- Written by the journal alone.

ALTER TABLE pix_notices ADD COLUMN confirmed boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN pix_notices.confirmed IS
    'The provider says so itself: it stands in its list, or it was asked. It posts nothing yet.';

CREATE TABLE job_cursors (
    name text        PRIMARY KEY,
    upto timestamptz NOT NULL
);
COMMENT ON TABLE job_cursors IS 'How far a list was read; what is read next reaches back behind it.';

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT UPDATE (confirmed) ON pix_notices TO ibora_app;
        GRANT SELECT, INSERT, UPDATE ON job_cursors TO ibora_app;
    END IF;
END $$;
