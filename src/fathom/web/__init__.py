"""What every door needs, and the process that serves a system."""
