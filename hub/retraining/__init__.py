"""Trainings and models."""
