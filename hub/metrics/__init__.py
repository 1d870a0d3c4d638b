"""Numbers over time, each with its definition and the conversations behind it."""
