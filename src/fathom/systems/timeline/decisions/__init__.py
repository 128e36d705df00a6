"""The timeline's hard questions, a folder each."""
