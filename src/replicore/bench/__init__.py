"""Measure an OpenAI endpoint: workload, closed loop, statistics, tables (see docs/metrics.md)."""
