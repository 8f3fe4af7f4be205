"""A hub on loopback: repositories with commits, answered as huggingface_hub and datasets ask, and faults on demand.

Large files come from a store on another port, to which the hub redirects, as the real one does.
"""

import contextlib
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit


class Served(NamedTuple):
    """One answer with a file's content."""

    path: str
    first: int  # byte
    bytes: int


@dataclass
class Repository:
    """Files at each commit; `main` is the last."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: bool = False

    def commit(self, files: dict[str, bytes]) -> str:
        sha = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[sha] = files
        return sha

    def resolve(self, revision: str) -> str | None:
        return next(reversed(self.commits)) if revision == "main" else revision if revision in self.commits else None


class Hub:
    """The hub and its store. A fault is about files whose path ends so."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}  # "datasets/me/it", "models/me/it"
        self.served: list[Served] = []
        self.tokens: dict[str, set[str | None]] = {"hub": set(), "store": set()}  # that who asked showed
        self.changed: dict[str, bytes] = {}  # other bytes, as many, that are sent in its place
        self.rangeless: set[str] = set()  # of these the whole file is sent, whatever part is asked for
        self.cut: dict[str, int] = {}  # after so many bytes the connection breaks, once
        self.short: dict[str, int] = {}  # the file ends after so many bytes, whatever its description says
        self.stalls: dict[str, int] = {}  # no byte beyond this one is answered
        self.stalled = threading.Event()
        self._go_on = threading.Event()
        self._servers = {name: ThreadingHTTPServer(("127.0.0.1", 0), self._handler(name)) for name in ("hub", "store")}
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            for server in self._servers.values()
        ]
        for server, thread in zip(self._servers.values(), self._threads, strict=True):
            server.daemon_threads = True
            thread.start()
        self.endpoint, self._store = (
            f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers.values()
        )

    def close(self) -> None:
        self._go_on.set()
        for server, thread in zip(self._servers.values(), self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()

    def repository(self, kind_and_name: str) -> Repository:
        return self.repositories.setdefault(kind_and_name, Repository())

    def bytes_of(self, path: str) -> int:
        """So many bytes of files whose path ends so have been sent."""
        return sum(served.bytes for served in self.served if served.path.endswith(path))

    def forget(self) -> None:
        """As if nothing had been asked and no fault been ordered."""
        for memory in (self.served, self.cut, self.short, self.stalls, self.changed, self.rangeless):
            memory.clear()
        self._go_on.set()
        self.stalled = threading.Event()
        self._go_on = threading.Event()

    def _handler(hub, server: str) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                self.answer(body=True)

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_POST(self) -> None:
                self.answer(body=True)

            def answer(self, *, body: bool) -> None:
                path = unquote(urlsplit(self.path).path).strip("/")
                hub.tokens[server].add(self.headers.get("Authorization"))
                api = re.fullmatch(r"api/((?:datasets|models)/[^/]+/[^/]+)(?:/(revision|tree|paths-info)/(.+))?", path)
                if api:
                    return self.about(*api.groups())
                file = re.fullmatch(r"(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
                if file:
                    prefix, name, revision, rest = file.groups()
                    return self.file((prefix or "models/") + name, revision, rest, body=body)
                return self.refuse(404, "")

            def about(self, name: str, what: str | None, rest: str | None) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                sent = self.rfile.read(length)
                repository = hub.repositories.get(name)
                if repository is None:
                    return self.refuse(401, "RepoNotFound")
                if repository.gated and what != "revision":
                    return self.refuse(403, "GatedRepo")
                revision, _, below = (rest or "main").partition("/")
                sha = repository.resolve(revision)
                if sha is None:
                    return self.refuse(404, "RevisionNotFound")
                files = repository.commits[sha]
                if what == "paths-info":
                    wanted = parse_qs(sent.decode())["paths"]
                    return self.json([describe(path, files[path]) for path in wanted if path in files])
                if what == "tree":
                    return self.json(tree(files, below, recursive="recursive=true" in self.path.lower()))
                return self.json(
                    {
                        "id": name.partition("/")[2],
                        "sha": sha,
                        "private": False,
                        "gated": False,
                        "disabled": False,
                        "tags": [],
                        "downloads": 0,
                        "likes": 0,
                        "lastModified": "2026-01-01T00:00:00.000Z",
                        "siblings": [{"rfilename": path} for path in files],
                    }
                )

            def file(self, name: str, revision: str, path: str, *, body: bool) -> None:
                repository = hub.repositories.get(name)
                if repository is None:
                    return self.refuse(401, "RepoNotFound")
                if repository.gated:
                    return self.refuse(403, "GatedRepo")
                sha = repository.resolve(revision)
                if sha is None:
                    return self.refuse(404, "RevisionNotFound")
                content = repository.commits[sha].get(path)
                if content is None:
                    return self.refuse(404, "EntryNotFound")
                total = len(content)
                if server == "hub" and is_large(path):
                    return self.redirect(hub._store + self.path, sha, content)
                first, last = 0, total - 1
                place = f"{name}/{path}"
                for end, other in hub.changed.items():
                    if place.endswith(end):
                        content = other
                if any(place.endswith(end) for end in hub.rangeless):
                    del self.headers["Range"]
                if (span := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")) is not None:
                    first, last = int(span[1]), min(int(span[2] or last), last)
                for end, at in hub.stalls.items():
                    if place.endswith(end) and body and last >= at:
                        hub.stalled.set()
                        hub._go_on.wait()
                        return None
                for end, at in hub.short.items():
                    if place.endswith(end):
                        last = min(last, at - 1)
                part = content[first : last + 1]
                self.send_response(206 if span else 200)
                self.send_header("Content-Length", str(len(part)))
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", sha)
                if span:
                    self.send_header("Content-Range", f"bytes {first}-{last}/{total}")
                self.end_headers()
                if not body:
                    return None
                for end, at in list(hub.cut.items()):
                    if place.endswith(end) and first <= at <= last:
                        del hub.cut[end]
                        part = part[: at - first]
                        self.close_connection = True
                hub.served.append(Served(place, first, len(part)))
                with contextlib.suppress(OSError):  # who asked is gone
                    self.wfile.write(part)
                return None

            def redirect(self, place: str, sha: str, content: bytes) -> None:
                self.send_response(302)
                self.send_header("Location", place)
                self.send_header("X-Repo-Commit", sha)
                self.send_header("X-Linked-Size", str(len(content)))
                self.send_header("X-Linked-ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("Content-Length", "0")
                self.end_headers()

            def json(self, value: object) -> None:
                content = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def refuse(self, status: int, code: str) -> None:
                self.send_response(status)
                if code:
                    self.send_header("X-Error-Code", code)
                self.send_header("Content-Length", "0")
                self.end_headers()

        return Handler


def tree(files: dict[str, bytes], below: str, *, recursive: bool) -> list[dict[str, object]]:
    """A folder's files and folders."""
    found: dict[str, dict[str, object]] = {}
    start = f"{below}/" if below else ""
    for path, content in files.items():
        if path.startswith(start):
            folder, slash, _ = path[len(start) :].partition("/")
            if slash:
                found[start + folder] = {"type": "directory", "path": start + folder, "oid": "0" * 40, "size": 0}
            if recursive or not slash:
                found[path] = describe(path, content)
    return list(found.values())


def is_large(path: str) -> bool:
    """Whether a file lies in the store: in git there is only its hash."""
    return not path.endswith((".md", ".json"))


def describe(path: str, content: bytes) -> dict[str, object]:
    """A file as the hub describes it."""
    about: dict[str, object] = {
        "type": "file",
        "path": path,
        "size": len(content),
        "oid": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
    }
    if is_large(path):
        about["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return about
