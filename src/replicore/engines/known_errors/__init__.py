"""What engines print when they fail, with its cause and its cure."""

from replicore.engines.known_errors.known_error import KnownError
from replicore.engines.known_errors.search import Sighting, find_all, find_known

__all__ = ["KnownError", "Sighting", "find_all", "find_known"]
