"""Shell scripts; those in ``scripts`` are the same for every deployment."""
