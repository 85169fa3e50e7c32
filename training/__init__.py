"""How the embedded MLLM is made and measured; not part of the package."""
