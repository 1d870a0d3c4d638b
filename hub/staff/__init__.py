"""Who may use the hub: accounts, roles, logging in."""
