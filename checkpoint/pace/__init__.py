"""Pace: rates and circuits that all workers of a database share."""
