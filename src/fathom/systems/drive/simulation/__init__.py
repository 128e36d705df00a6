"""Clients of a drive in a simulated world: crashes, lost answers, people who go on writing, and a judge at the end."""
