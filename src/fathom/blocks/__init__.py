"""Algorithms: no clock, no dice, no input or output."""
