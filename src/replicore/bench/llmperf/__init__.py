"""The drop-in for LLMPerf: its flags, its two files and its printed block, with right numbers."""
