"""The live page: a system that is up, drawn, broken and switched in a browser on the same machine."""
