"""What the store's answers cost and break: counted in placements, simulated worlds, and real stores on a disk."""
