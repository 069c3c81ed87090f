"""State: what the framework keeps, in our database."""
