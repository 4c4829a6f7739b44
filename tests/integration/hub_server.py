"""A Hugging Face hub on loopback, as far as huggingface_hub uses one to download a model."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

# Stored as large files, behind a redirect to another address, like on the real hub.
_LARGE = (".gguf", ".safetensors")


@dataclass(frozen=True)
class Seen:
    """One request that arrived."""

    method: str
    path: str
    range: str | None
    token: str | None


@dataclass
class Repo:
    """A repository with one commit.

    Attributes:
        files: Path -> content.
        gated: Its list is public, and its files need :attr:`HubServer.token`.
        private: Without the token it is not even there.
    """

    files: dict[str, bytes]
    branch: str = "main"
    gated: bool = False
    private: bool = False

    @property
    def commit(self) -> str:
        digest = hashlib.sha1(usedforsecurity=False)
        for name in sorted(self.files):
            digest.update(name.encode() + b"\0" + self.files[name])
        return digest.hexdigest()


@dataclass
class HubServer:
    """The hub's content, its faults, and what was asked of it.

    Attributes:
        cut_after: Bytes of a large file's body after which the connection is cut; one such
            answer for each entry, in order.
        hold_after: Bytes of a large file's body after which the rest waits for ``release``.
        failing: Large files whose content is answered with status 500.
        status: Answer everything with this status.
    """

    url: str = ""
    token: str = "hf_right"
    repos: dict[str, Repo] = field(default_factory=dict)
    cut_after: list[int] = field(default_factory=list)
    hold_after: int | None = None
    release: Event = field(default_factory=Event)
    failing: set[str] = field(default_factory=set)
    status: int | None = None
    seen: list[Seen] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def bodies(self) -> list[Seen]:
        """Return the requests for contents of files, not for lists and properties."""
        return [seen for seen in self.seen if seen.method == "GET" and "/api/" not in seen.path]


@contextmanager
def serve_hub() -> Iterator[HubServer]:
    hub = HubServer()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        hub.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Failure(Exception):
    """Raised to answer with a status and the hub's own error code."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(status, code, message)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes: without this the second waits for a delayed ACK.
    disable_nagle_algorithm = True
    hub: HubServer

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ") or None
        with self.hub.lock:
            self.hub.seen.append(Seen(self.command, path, self.headers["Range"], token))
        try:
            if self.hub.status is not None:
                raise _Failure(self.hub.status)
            self._route(path, token)
        except _Failure as failure:
            headers = {"X-Error-Code": failure.code, "X-Error-Message": failure.message}
            self._send(failure.status, b"{}", {k: v for k, v in headers.items() if v})

    do_HEAD = do_GET

    def _route(self, path: str, token: str | None) -> None:
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/(.+))?", path):
            self._info(self._repo(match[1], match[3], token), match[1])
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            self._tree(self._repo(match[1], match[2], token))
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(self._repo(match[1], match[2], token), match[3], token)
        elif match := re.fullmatch(r"/cdn/([^/]+/[^/]+)/(.+)", path):
            if match[2] in self.hub.failing:
                raise _Failure(500)
            self._content(self.hub.repos[match[1]].files[match[2]], large=True)
        else:
            raise _Failure(404)

    def _repo(self, name: str, revision: str | None, token: str | None) -> Repo:
        if token is not None and token != self.hub.token:
            raise _Failure(401, message="Invalid credentials in Authorization header")
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and token is None):
            # The real hub does not tell a stranger which of the two it is.
            raise _Failure(404 if token else 401, "RepoNotFound", "Repository not found")
        if revision not in (None, repo.branch, repo.commit):
            raise _Failure(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return repo

    def _info(self, repo: Repo, name: str) -> None:
        siblings = [{"rfilename": n, "size": len(c)} for n, c in repo.files.items()]
        self._send_json({"id": name, "sha": repo.commit, "siblings": siblings})

    def _tree(self, repo: Repo) -> None:
        entries = [_tree_entry(name, content) for name, content in repo.files.items()]
        self._send_json(entries)

    def _resolve(self, repo: Repo, name: str, token: str | None) -> None:
        if repo.gated and token is None:
            raise _Failure(401, "GatedRepo", "Access to this model is restricted")
        if name not in repo.files:
            raise _Failure(404, "EntryNotFound", "Entry not found")
        content, commit = repo.files[name], {"X-Repo-Commit": repo.commit}
        if not name.endswith(_LARGE):
            self._content(content, headers=commit)
            return
        repo_name = self.path.split("/resolve/")[0]
        linked = {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{_sha256(content)}"'}
        # Another host name: a redirect to the same one would be followed and not taken as the file.
        cdn = self.hub.url.replace("127.0.0.1", "localhost")
        location = {"Location": f"{cdn}/cdn{repo_name}/{name}"}
        self._send(302, b"", {**commit, **linked, **location})

    def _content(
        self, content: bytes, *, large: bool = False, headers: dict[str, str] | None = None
    ) -> None:
        start = self._range_start()
        status = 206 if start else 200
        headers = {**(headers or {}), "ETag": f'"{_git_sha1(content)}"', "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(status, content[start:], headers, faults=large and self.command == "GET")

    def _range_start(self) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        return int(match[1]) if match else 0

    def _send_json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], *, faults: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if faults:
            body = self._break(body)
        self.wfile.write(body)

    def _break(self, body: bytes) -> bytes:
        """Apply the faults that are set; return what is still to be sent."""
        with self.hub.lock:
            cut = self.hub.cut_after.pop(0) if self.hub.cut_after else None
        if cut is not None:
            self.close_connection = True
            return body[:cut]
        if self.hub.hold_after is not None:
            self.wfile.write(body[: self.hub.hold_after])
            self.hub.release.wait(timeout=30)
            return body[self.hub.hold_after :]
        return body

    def log_message(self, format: str, *args: object) -> None:
        pass


def _tree_entry(name: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": "file",
        "path": name,
        "size": len(content),
        "oid": _git_sha1(content),
    }
    if name.endswith(_LARGE):
        entry["lfs"] = {"oid": _sha256(content), "size": len(content), "pointerSize": 134}
    return entry


def _git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
