"""The programs that serve one replica each, behind one Protocol (``engine.py``)."""
