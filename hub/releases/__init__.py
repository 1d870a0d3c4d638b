"""Releases and what becomes of them."""
