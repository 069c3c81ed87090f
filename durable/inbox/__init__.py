"""Inbox: questions to people, and their answers."""
