"""Where the requests of a session come from: drawn lengths, a trace, recorded texts."""
