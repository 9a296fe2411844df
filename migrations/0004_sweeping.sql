-- What is kept for a while only: command results and stream events for 24 hours, batch ids for one.
-- Rows arrive in the order of time, so a block range index finds the old ones at almost no cost.

CREATE INDEX command_results_at ON command_results USING brin (at);
CREATE INDEX stream_events_at ON stream_events USING brin (at);
CREATE INDEX journal_batches_at ON journal_batches USING brin (at);

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT DELETE ON node_fence TO ibora_app;
    END IF;
END $$;
