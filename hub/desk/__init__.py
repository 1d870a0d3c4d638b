"""The human agents' inbox."""
