"""What one rank of a replica holds in memory, and whether that fits. Pure."""
