"""The reference back end: orders, accounts and tickets of the made-up shop Fernway, over a real database."""
