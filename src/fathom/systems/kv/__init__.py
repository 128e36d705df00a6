"""A Dynamo-style key-value store: leaderless, durable, and any Redis client can talk to it."""
