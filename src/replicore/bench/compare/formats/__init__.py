"""One module for each result format: it recognises a document, and says what its fields mean."""
