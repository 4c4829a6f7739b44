"""A run for people: on the terminal while it runs, as tables, as a page."""
