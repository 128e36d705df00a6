"""Questions about the answers, a file each."""
