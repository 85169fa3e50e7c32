"""The paradox in the laboratory: what a model's training images do to what it prefers; writes docs/paradox-lab.md."""
