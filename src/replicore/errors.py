"""The exceptions that replicore raises on purpose.

Split by who must act::

    ReplicoreError
      ConfigError              the user: a flag, a variable or a spec value is wrong (exit code 2)
        SpecError              ... a value of the spec file
        InfeasiblePlan         ... no layout does what the spec asks on this machine
      ModelError               the model's files cannot be found, read or downloaded
      ArtefactError            a compiled model is missing or damaged, or could not be made
      DeploymentError          a deployment is in the way, or is not there
      ReplicaError
        ReplicaStartError      an engine runs, but is not the one that was planned
        ReplicaExited          an engine ended by itself
      UpstreamError            one request to an engine failed
        OutOfSockets           ... because this machine cannot open another connection
      UndefinedMetric          the data do not carry the asked-for number

Anything else that reaches a user is a bug to report.
"""

from __future__ import annotations

# What a shell reports of a command that Ctrl-C ended: 128 + SIGINT
INTERRUPTED_EXIT_CODE = 130


class ReplicoreError(Exception):
    """An error with a message for the user and, where one exists, a way out.

    Args:
        message: One sentence without a full stop: what, the value, the rule, what would work.
        hint: What to try next; printed on a line of its own.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(ReplicoreError):
    """Raised when a flag, an environment variable or an argument is wrong."""

    exit_code = 2


class SpecError(ConfigError):
    """Raised when a value of the spec is wrong; the message names file, key, value and rule."""


class InfeasiblePlan(ConfigError):
    """Raised when no layout does what was asked; the message says which would."""


class ModelError(ReplicoreError):
    """Raised when the model's files cannot be found, read or downloaded."""


class ArtefactError(ReplicoreError):
    """Raised when what ``replicore compile`` makes is missing, damaged or cannot be made."""


class DeploymentError(ReplicoreError):
    """Raised when a deployment is in the way, is not running, or does not answer."""


class ReplicaError(ReplicoreError):
    """Base of what goes wrong with one replica."""


class ReplicaStartError(ReplicaError):
    """Raised when a running engine is not the one that was planned; restarting cannot help."""


class ReplicaExited(ReplicaError):
    """Raised when an engine ended by itself; carries its exit code or signal and its last lines."""


class UpstreamError(ReplicoreError):
    """Raised when a request to an engine failed before a whole response arrived."""


class OutOfSockets(UpstreamError):
    """Raised when a limit of this machine, and nothing of the engine, forbids a connection."""


class UndefinedMetric(ReplicoreError):
    """Raised when the data do not carry the asked-for number."""
