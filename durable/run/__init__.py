"""Run: executions, and the ways in which they are started, driven, ended and called."""
