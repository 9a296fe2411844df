-- Chained rides: a driver on his way to a drop-off has accepted the next ride. Columns and indexes
-- are of 0002_dispatch; these triggers keep `rides.chained`, so journal_write stays as it is.

-- What is accepted is chained where its state says so. A chained ride that is written again stays
-- chained only if it was: the end of the other ride may have been faster.
CREATE FUNCTION ride_is_chained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.chained := (NEW.state::json -> 'chain') IS NOT NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER rides_chained BEFORE UPDATE OF state ON rides FOR EACH ROW
    WHEN (NEW.status = 'accepted' AND (OLD.status <> 'accepted' OR OLD.chained)
          AND (OLD.chained OR strpos(NEW.state, '"chain":{') > 0))
    EXECUTE FUNCTION ride_is_chained();

-- The end of a ride makes the one that is chained to it its driver's active ride, in one commit.
CREATE FUNCTION next_ride_is_active() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE rides SET chained = false WHERE chained_driver_id = OLD.active_driver_id;
    RETURN NULL;
END $$;
CREATE TRIGGER rides_next AFTER UPDATE OF state ON rides FOR EACH ROW
    WHEN (OLD.active_driver_id IS NOT NULL AND NEW.status IN ('completed', 'canceled'))
    EXECUTE FUNCTION next_ride_is_active();
