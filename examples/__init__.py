"""Examples that run: each is a small app of its own."""
