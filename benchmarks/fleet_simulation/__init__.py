"""The simulated fleet: how fast it is, against queueing theory, and against real replicas."""
