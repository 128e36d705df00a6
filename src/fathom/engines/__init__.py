"""Real components, from nothing to ready and back."""
