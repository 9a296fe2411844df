-- Ratings. What somebody said is an event of the ride, kind `rated`; what people need to know of it
-- all the time, how a person was rated so far, is counted beside it in the same transaction.
-- Counted here, where the event is inserted, so that no call of journal_write carries columns that
-- are empty in all commits but a few.

CREATE TABLE person_ratings (
    user_id uuid PRIMARY KEY REFERENCES users (id),
    shard smallint NOT NULL,
    ratings integer NOT NULL CHECK (ratings > 0),
    stars bigint NOT NULL,
    hundredths smallint NOT NULL
        GENERATED ALWAYS AS ((100 * stars + ratings / 2) / ratings) STORED,
    CHECK (stars BETWEEN ratings AND 5 * ratings::bigint)
) WITH (fillfactor = 70);
COMMENT ON COLUMN person_ratings.hundredths IS
    'The mean. Who has no row was never rated; a driver is then shown drivers.rating_hundredths.';

CREATE VIEW ride_ratings AS
SELECT entity_id AS ride_id, body::json ->> 'by' AS by, (body::json ->> 'of')::uuid AS user_id,
       (body::json ->> 'stars')::integer AS stars, body::json ->> 'comment' AS comment, at
FROM events WHERE kind = 'rated';

-- With the rights of its owner: the engine's own role may not change a mean in any other way.
CREATE FUNCTION count_rating() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO person_ratings AS r (user_id, shard, ratings, stars)
        SELECT u.id, u.shard, 1, (new.body::json ->> 'stars')::integer
        FROM users u WHERE u.id = (new.body::json ->> 'of')::uuid
        ON CONFLICT (user_id) DO UPDATE
            SET ratings = r.ratings + 1, stars = r.stars + excluded.stars;
    RETURN NULL;
END $$;
CREATE TRIGGER events_count_rating AFTER INSERT ON events
    FOR EACH ROW WHEN (new.kind = 'rated') EXECUTE FUNCTION count_rating();

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ibora_app') THEN
        GRANT SELECT ON person_ratings, ride_ratings TO ibora_app;
    END IF;
END $$;
