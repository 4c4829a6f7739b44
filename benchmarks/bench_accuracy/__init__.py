"""Load generators of the field side by side with ours, over a mock whose answers are known."""
