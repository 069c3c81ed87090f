"""Record: what the journal says, and how it is matched with the calls of the code. No database."""
