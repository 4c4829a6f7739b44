"""The name of an artefact: a digest of all that it depends on. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from replicore.engines.recipe import Value

_DIGITS = 20


def digest(fields: Mapping[str, Value]) -> str:
    """Return 20 hexadecimal digits of the SHA-256 of the fields as canonical JSON.

    They are equal for equal fields, in every version of replicore. Whoever finds an artefact by
    them still compares the fields: those are the truth, and this is a folder's name.

    Raises:
        ValueError: A number is not finite.
        TypeError: A value has no JSON form.
    """
    text = json.dumps(
        dict(fields), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
