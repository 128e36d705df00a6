"""The store's doors: RESP for any Redis client."""
