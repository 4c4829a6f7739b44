"""Serve a large language model as N replicas on disjoint cores behind one OpenAI endpoint."""

__version__ = "0.1.0"
