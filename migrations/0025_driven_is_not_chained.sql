-- A ride that is driven waits for no other. One that was chained to a ride whose end was recorded
-- just before, and whose driver arrived within the commit that unchained it, kept its mark: the
-- driver then had no active ride by these columns, and could have been given a second one.

CREATE FUNCTION unchain_driven() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.chained := false;
    RETURN NEW;
END $$;

CREATE TRIGGER rides_unchain_driven BEFORE UPDATE ON rides
    FOR EACH ROW WHEN (NEW.chained AND NEW.status IN ('arriving', 'arrived', 'started'))
    EXECUTE FUNCTION unchain_driven();

-- Those of a driver who was given a second one meanwhile are left as they are: they end.
UPDATE rides r SET chained = false
WHERE chained AND status IN ('arriving', 'arrived', 'started')
    AND NOT EXISTS (SELECT FROM rides other WHERE other.active_driver_id = r.driver_id);
