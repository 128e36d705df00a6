"""What keeps a system up: its parts, the orders it takes, and, as a demo, people who use it and watch its laws."""
