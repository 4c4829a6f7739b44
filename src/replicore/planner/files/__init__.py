"""Calibrations as files: one for an engine on a device. Not pure, unlike the rest of the planner.

``calibrations/*.toml`` come with replicore (``benchmarks/planner/ship.py`` makes them); ``replicore
tune`` writes the user's own, which go before them.
"""
