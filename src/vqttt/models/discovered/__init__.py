"""Models of a type without a file of its own: what the seam needs is found by trying, and then verified."""
