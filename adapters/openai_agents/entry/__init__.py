"""Entry: how an agent is wrapped, and which execution a call of it belongs to."""
