"""A server whose answers are known: what a client measures of it, less that, is the client's error.

    python -m replicore.bench.selfcheck.mock --port 0 --ttft-ms 50 --itl-ms 10 --tokens 100

It streams every answer to the same plan: the first token a fixed time after the request arrived, by
the kernel's stamp where there is one, each further token a fixed time after the one before. It
tells how late it was itself, so that its error is never taken for the client's.
"""
