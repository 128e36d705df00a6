-- Every login looks for a user's oldest tokens.
CREATE INDEX tokens_by_user ON tokens (user_id, expires_ms DESC);
