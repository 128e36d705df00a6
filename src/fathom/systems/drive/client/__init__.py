"""The client that keeps a folder as the drive has it: look, fetch, plan, do, and remember only what is durable."""
