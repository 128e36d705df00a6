"""What a client knows and decides by itself: what a folder is, what is remembered of it, and what is not synced."""
