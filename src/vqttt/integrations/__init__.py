"""Other evaluation harnesses: their questions in, this package's answers out."""
