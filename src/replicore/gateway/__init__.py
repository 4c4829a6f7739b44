"""The front door: one OpenAI-compatible endpoint over all replicas."""
