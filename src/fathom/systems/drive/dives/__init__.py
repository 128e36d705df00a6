"""Questions about file sync, a file each, that a run can answer."""
