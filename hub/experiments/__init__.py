"""A/B tests of wordings."""
