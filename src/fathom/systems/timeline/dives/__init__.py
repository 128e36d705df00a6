"""Questions about the timeline, a file each, that a run can answer."""
