"""The core of the store in a simulated world: one thread, one seed, every fault, and what must stay true."""
