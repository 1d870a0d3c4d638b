"""All conversations: found, read, annotated, exported."""
