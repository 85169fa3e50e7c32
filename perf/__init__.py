"""What the parts of vqttt cost, against others that do the same."""
