"""The customers' chat: its page, and the rules of the channel that do not need Rasa."""
