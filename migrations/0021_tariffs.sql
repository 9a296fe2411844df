-- Receipts by time: those of which it is not booked yet what the provider took are lately come.

CREATE INDEX pix_received_by_time ON pix_received (received_at);
