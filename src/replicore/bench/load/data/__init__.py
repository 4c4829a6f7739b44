"""Files that requests come from: traces, prompts and conversations."""
