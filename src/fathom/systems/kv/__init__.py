"""A Dynamo-style key-value store: it owns its protocol, keeps every key on several nodes, and loses nothing it took."""
