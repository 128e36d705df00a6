"""What the sample system decides."""
