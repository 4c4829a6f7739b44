"""What can be said of a deployment before it starts, from its numbers alone."""
