"""Models: from what the spec names to local files, and their sizes."""
