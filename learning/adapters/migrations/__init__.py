"""Alembic migrations of the learning database; run when the store is opened."""
