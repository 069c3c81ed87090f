"""Live: one process that drives one execution under one claim."""
