"""Journal: append-only records, fenced by their primary key."""
