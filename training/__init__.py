"""Training and measuring the embedded MLLM; not part of the package."""
