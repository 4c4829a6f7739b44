"""Which web pages may call the API from a browser: none, unless the spec names their origins.

Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from replicore.http.server import Request, Response

_METHODS = b"GET, POST, OPTIONS"
_MAX_AGE_S = b"600"
_EXTRA = (
    b"access-control-allow-origin: %b\r\n"
    b"access-control-expose-headers: x-request-id, x-replicore-replica\r\n"
    b"vary: origin\r\n"
)
_VARY = b"vary: origin\r\n"


class Cors:
    """Answers preflight requests and names the origin in responses.

    Attributes:
        origins: That may call; ``*`` among them lets every page.
    """

    def __init__(self, origins: tuple[str, ...]) -> None:
        self.origins = frozenset(origin.encode().rstrip(b"/") for origin in origins)

    def look(self, request: Request, response: Response) -> bool:
        """Add the headers for the page's origin; return whether this was a preflight, answered."""
        origin = request.headers.get(b"origin")
        allowed = origin is not None and (b"*" in self.origins or origin in self.origins)
        # A cache must not give one origin's answer to another, nor that to no origin.
        response.extra = _EXTRA % origin if allowed and origin is not None else _VARY
        if request.method != "OPTIONS" or b"access-control-request-method" not in request.headers:
            return False
        if allowed:
            asked = request.headers.get(b"access-control-request-headers", b"")
            response.send(
                204,
                headers=[
                    (b"access-control-allow-methods", _METHODS),
                    (b"access-control-allow-headers", asked),
                    (b"access-control-max-age", _MAX_AGE_S),
                ],
            )
        else:
            response.send(403)
        return True
