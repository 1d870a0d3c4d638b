"""Rasa graph components, channels and response generation of the assistant."""
