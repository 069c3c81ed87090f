"""State: what frameworks keep (snapshots, sessions) and large values (blobs)."""
