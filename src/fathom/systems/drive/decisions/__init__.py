"""The questions that a file sync is built on."""
