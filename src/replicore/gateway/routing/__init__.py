"""Which replica serves a request: policies, what they go by, and who serves what right now."""
