"""A replica's step in data-sheet seconds, term by term."""
