"""Declare: what a person declares about tools and executions. Values only, no I/O."""
