"""Typed clients of the systems behind the assistant."""
