"""What ``replicore compile`` makes: found by what it depends on, whole or not there at all."""
