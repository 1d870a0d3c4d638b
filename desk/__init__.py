"""The desk: conversations that the assistant hands to a person, and what people answer in them."""
