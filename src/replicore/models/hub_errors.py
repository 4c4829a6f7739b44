"""Say what went wrong with the Hugging Face hub, and what would help."""

from __future__ import annotations

import errno
import os

import huggingface_hub.constants

from replicore.errors import ModelError


def hub_errors() -> tuple[type[Exception], ...]:
    """Return what calls of huggingface_hub raise. For use in an ``except`` clause.

    A function, because ``huggingface_hub.errors`` is there only after the first call of the
    library; to import it takes 0.2 s, which a start without the hub should not pay.
    """
    # The base of the exceptions of its HTTP library, of which it has used three so far. Errors of
    # the file system, and those that it raises itself, are OSErrors.
    return (huggingface_hub.errors.HTTPError, OSError)  # type: ignore[attr-defined]


def endpoint() -> str:
    """Return the hub's address, as the environment says now and not when it was imported."""
    return os.environ.get("HF_ENDPOINT", huggingface_hub.constants.ENDPOINT).rstrip("/")


def is_unreachable(error: Exception) -> bool:
    """Whether the hub gave no answer, or one that is about itself and not about the request."""
    if isinstance(error, huggingface_hub.errors.HfHubHTTPError):
        return error.response.status_code >= 500
    return not isinstance(error, OSError)


def explain(error: Exception, repo: str, revision: str | None) -> ModelError:
    """Return what to tell the user about one of :func:`hub_errors`."""
    error = _root(error)
    known = huggingface_hub.errors
    if isinstance(error, known.GatedRepoError):
        return ModelError(
            f"{repo} is gated: its terms must be accepted before it can be downloaded",
            hint=f"accept them at {endpoint()}/{repo}, then set HF_TOKEN to a token of yours",
        )
    if isinstance(error, known.RevisionNotFoundError):
        return ModelError(f'{repo} has no revision "{revision}"')
    if isinstance(error, known.RepositoryNotFoundError):
        return ModelError(
            f"{endpoint()} has no model {repo}, or it is private",
            hint="check the spelling; for a private repository set HF_TOKEN",
        )
    if isinstance(error, known.HfHubHTTPError):
        return _status(error.response.status_code, repo)
    if isinstance(error, OSError) and error.errno is not None:
        return _local(error, repo)
    return ModelError(
        f"{repo} cannot be downloaded from {endpoint()}: {_first_line(error)}",
        hint="check the network and run it again: finished files are kept;"
        " or set model.source to a local folder or .gguf file",
    )


def not_cached(repo: str, revision: str | None) -> ModelError:
    wanted = f'revision "{revision}" of {repo}' if revision is not None else repo
    return ModelError(
        f"offline, and {wanted} is not completely in {huggingface_hub.constants.HF_HUB_CACHE}",
        hint="run it once without model.offline and HF_HUB_OFFLINE",
    )


def _root(error: Exception) -> Exception:
    """huggingface_hub wraps what happened when it then finds nothing in its cache either."""
    cause = error.__cause__
    wrapped = isinstance(error, huggingface_hub.errors.LocalEntryNotFoundError)
    return cause if wrapped and isinstance(cause, Exception) else error


def _status(status: int, repo: str) -> ModelError:
    if status in (401, 403):
        return ModelError(
            f"{endpoint()} refuses access to {repo} with status {status}",
            hint="set HF_TOKEN to a valid token that may read the repository",
        )
    return ModelError(
        f"{endpoint()} answered with status {status} for {repo}",
        hint="try again later: finished files are kept",
    )


def _local(error: OSError, repo: str) -> ModelError:
    hint = (
        "free some space, or set HF_HOME to another disk" if error.errno == errno.ENOSPC else None
    )
    place = error.filename or huggingface_hub.constants.HF_HUB_CACHE
    return ModelError(f"{repo} cannot be stored: {place}: {error.strerror}", hint=hint)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
