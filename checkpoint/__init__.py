"""Storage: the journal, executions, interrupts, signals, blobs and snapshots, in SQL.

The only package that knows SQLAlchemy; it knows no agent and no framework.
"""
