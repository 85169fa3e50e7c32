"""Models behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, a provider, or `vqttt serve`."""
