"""What the parent of the gateway's workers and a worker tell each other."""
