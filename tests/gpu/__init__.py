"""Checks of published checkpoints, for a machine with a GPU and the Hugging Face Hub."""
