"""What is sent, and when: lengths, prompts, sessions, arrivals."""
