"""Shop: a catalogue, a stock that is never sold twice, orders, payments and seats."""
