"""Measures anything: load, faults, counts, statistics, records. Knows no system."""
