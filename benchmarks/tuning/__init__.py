"""How few runs `replicore tune` needs; `python -m benchmarks.tune` runs all of it."""
