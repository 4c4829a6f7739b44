"""Who may use the gateway, how much, and from where; and the log of it."""
