"""vLLM on AWS Trainium and Inferentia."""
