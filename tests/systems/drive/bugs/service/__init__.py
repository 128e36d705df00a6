"""Bugs that stores of chunks really had: each is put into the stores, and seen to spoil the story that is about it."""
