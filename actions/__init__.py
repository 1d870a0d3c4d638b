"""What the assistant does beyond talking: one topic a file, the shop behind a typed client."""
