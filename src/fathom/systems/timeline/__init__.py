"""A social timeline: posts, follows, and a home that shows each follower each post once."""
