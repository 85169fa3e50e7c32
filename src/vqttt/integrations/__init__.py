"""Plug-ins for other evaluation harnesses: their questions in, vqttt's answers out."""
