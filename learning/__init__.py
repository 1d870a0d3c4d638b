"""The loop that learns from conversations: mine, propose, review, publish, retrain."""
