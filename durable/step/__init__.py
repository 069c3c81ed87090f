"""Step: one call, from the look into the journal to its record."""
