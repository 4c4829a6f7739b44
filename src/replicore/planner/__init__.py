"""Which layout to choose: predictions of memory, time and service, and what they are worth."""
