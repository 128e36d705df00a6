"""What the shelf decides."""
