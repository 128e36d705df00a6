"""The things that are measured: a file each, and the folder is the list."""
