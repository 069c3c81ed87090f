"""Seams: where the framework's calls become steps."""
