"""The simulator: an OpenAI server with no model, deterministic in its text and its timing."""
