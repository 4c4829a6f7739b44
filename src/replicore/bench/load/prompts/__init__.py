"""Prompts of a given number of tokens: what a token is, and how a prompt is made of many."""
