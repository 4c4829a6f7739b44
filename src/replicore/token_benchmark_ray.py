"""LLMPerf's ``token_benchmark_ray.py``, by module or by path."""

from __future__ import annotations

import os
import sys
from importlib import import_module

if __name__ == "__main__":
    # Run by its path, Python looks first in this folder, and our http/ would hide its own.
    _here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [place for place in sys.path if os.path.abspath(place or ".") != _here]
    import_module("replicore.cli").main(["bench", "llmperf", *sys.argv[1:]])
