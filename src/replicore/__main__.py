"""``python -m replicore``: the same as the ``replicore`` command."""

from replicore.cli import main

if __name__ == "__main__":
    main()
