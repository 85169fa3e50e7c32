"""What image quality does to a multimodal large language model, and how to make it answer better at test time."""

__version__ = "0.1.0"
