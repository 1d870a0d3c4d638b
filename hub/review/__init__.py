"""Reviewing: the inbox, one proposal, decisions, second readings."""
