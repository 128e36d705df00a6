"""One node of the store as a pure state machine: messages and time in, messages and storage operations out."""
