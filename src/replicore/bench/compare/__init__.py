"""Results of several runs side by side, whichever tool wrote them."""
