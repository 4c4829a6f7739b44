"""vLLM on CUDA devices and on CPU cores."""
