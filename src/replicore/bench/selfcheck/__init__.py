"""What proves a run: how the client did, what it measures of a mock, and the verdict on both."""
