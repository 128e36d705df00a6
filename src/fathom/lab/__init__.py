"""Measures anything: load, faults, counts, statistics, records; it knows no system."""
