"""Inbox: interrupts, the votes on them, and signals, as rows."""
