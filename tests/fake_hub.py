"""The Hub without a network: a cache as its client lays it out, and a small server that takes commits and gives files."""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit


def cached_repository(cache: Path, name: str, revisions: Mapping[str, Path]) -> None:
    """Lays out a repository as the Hub's client does: contents by hash, links to them in each commit's folder.

    Args:
        cache: `cache_dir`, or `HF_HUB_CACHE`.
        name: such as "me/model".
        revisions: a folder with the repository's files, by branch.
    """
    root = cache / f"models--{name.replace('/', '--')}"
    for place in ("refs", "blobs"):
        (root / place).mkdir(parents=True)
    for branch, folder in revisions.items():
        commit = hashlib.sha1(branch.encode()).hexdigest()
        (root / "refs" / branch).write_text(commit)
        for path in folder.rglob("*"):
            if path.is_file():
                link = root / "snapshots" / commit / path.relative_to(folder)
                blob = root / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
                blob.write_bytes(path.read_bytes())
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(os.path.relpath(blob, link.parent))


class FakeHub(ThreadingHTTPServer):
    """Repositories whose branches are files by path, and what was asked for.

    Attributes:
        branches: files by repository and branch.
        asked: of each request method, path and token.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.branches: dict[tuple[str, str], dict[str, bytes]] = {}
        self.contents: dict[str, bytes] = {}  # large files, by hash
        self.asked: list[tuple[str, str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """For processes that are to take this for the Hub."""
        return {"HF_ENDPOINT": self.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    with FakeHub() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class _Answers(BaseHTTPRequestHandler):
    server: FakeHub

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing on the error stream."""

    def _begin(self) -> list[str]:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append((self.command, path, self.headers.get("Authorization")))
        return path.strip("/").split("/")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_json(self, values: Any, status: int = 200, **headers: str) -> None:
        self._send(status, json.dumps(values).encode(), {"Content-Type": "application/json", **headers})

    def _missing(self, code: str) -> None:
        self._send_json({"error": "not found"}, 404, **{"X-Error-Code": code})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        match self._begin():
            case [owner, name, "resolve", revision, *path]:
                branch = self.server.branches.get((f"{owner}/{name}", revision))
                content = None if branch is None else branch.get("/".join(path))
                if branch is None:  # by commit
                    for (repository, _), files in self.server.branches.items():
                        if repository == f"{owner}/{name}" and _commit(files) == revision:
                            branch, content = files, files.get("/".join(path))
                if branch is None:
                    return self._missing("RevisionNotFound")
                if content is None:
                    return self._missing("EntryNotFound")
                etag = hashlib.sha256(content).hexdigest()
                self._send(200, content, {"X-Repo-Commit": _commit(branch), "ETag": f'"{etag}"'})
            case ["api", "models", owner, name, *rest]:
                branch = self.server.branches.get((f"{owner}/{name}", rest[1] if len(rest) > 1 else "main"))
                if rest[:1] == ["tree"] and len(rest) > 2:
                    return self._missing("EntryNotFound")  # a folder of further chat templates, which these have not
                if branch is None:
                    return self._missing("RevisionNotFound")
                siblings = [{"rfilename": path} for path in branch]
                self._send_json({"id": f"{owner}/{name}", "sha": _commit(branch), "siblings": siblings})
            case _:
                self._missing("RepoNotFound")

    def do_POST(self) -> None:
        parts, body = self._begin(), self._body()
        match parts:
            case ["api", "repos", "create"]:
                values = json.loads(body)
                name = "/".join(filter(None, (values.get("organization"), values["name"])))
                self.server.branches.setdefault((name, "main"), {})
                self._send_json({"url": f"{self.server.url}/{name}", "name": name})
            case ["api", "validate-yaml"]:
                self._send_json({"errors": [], "warnings": []})
            case ["api", "models", owner, name, "branch", branch]:
                self.server.branches.setdefault((f"{owner}/{name}", branch), {})
                self._send_json({})
            case ["api", "models", _, _, "preupload", _]:
                kinds = [(file["path"], "lfs" if file["path"].endswith(".safetensors") else "regular")
                         for file in json.loads(body)["files"]]  # fmt: skip
                self._send_json({"files": [{"path": path, "uploadMode": kind, "shouldIgnore": False} for path, kind in kinds]})
            case [*_, "info", "lfs", "objects", "batch"]:
                objects = [
                    {"oid": each["oid"], "size": each["size"],
                     "actions": {"upload": {"href": f"{self.server.url}/contents/{each['oid']}"}}}
                    for each in json.loads(body)["objects"]
                ]  # fmt: skip
                self._send_json({"transfer": "basic", "objects": objects})
            case ["api", "models", owner, name, "commit", branch]:
                files = self.server.branches[f"{owner}/{name}", branch]
                for line in map(json.loads, body.splitlines()):
                    value = line["value"]
                    if line["key"] == "file":
                        files[value["path"]] = base64.b64decode(value["content"])
                    elif line["key"] == "lfsFile":
                        files[value["path"]] = self.server.contents[value["oid"]]
                commit = _commit(files)
                self._send_json({"success": True, "commitUrl": f"{self.server.url}/{owner}/{name}/commit/{commit}",
                                 "commitOid": commit, "hookOutput": ""})  # fmt: skip
            case _:
                self._missing("RepoNotFound")

    def do_PUT(self) -> None:
        oid = self._begin()[-1]
        self.server.contents[oid] = self._body()
        self._send(200, b"", {})


def _commit(files: Mapping[str, bytes]) -> str:
    """A name for a branch's state."""
    digest = hashlib.sha1()
    for path in sorted(files):
        digest.update(path.encode() + hashlib.sha1(files[path]).digest())
    return digest.hexdigest()
