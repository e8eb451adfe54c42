"""The Hub without a network: a cache as its client lays it out, and a small server that speaks to the real client."""

import base64
import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


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


LFS = (".safetensors", ".bin", ".parquet")  # that are stored as large files; the rest is text
Files = dict[str, bytes]


@dataclass(frozen=True)
class User:
    """Whose token it is.

    Args:
        name: of the user.
        role: of the token, "write" or "read".
        organizations: that the user may write to, too.
    """

    name: str
    role: str = "write"
    organizations: tuple[str, ...] = ()

    def writes_to(self, repository: str) -> bool:
        return self.role == "write" and repository.partition("/")[0] in (self.name, *self.organizations)


@dataclass
class Repository:
    """Files by branch; a pull request is the branch `refs/pr/N`."""

    private: bool = False
    branches: dict[str, Files] = field(default_factory=lambda: {"main": {}})
    commits: dict[str, Files] = field(default_factory=dict)

    def at(self, revision: str) -> Files | None:
        """By branch or commit."""
        states = {_commit(files): files for files in self.branches.values()}
        return self.branches.get(revision) or self.commits.get(revision) or states.get(revision, self.branches.get(revision))


@dataclass(frozen=True)
class Request:
    """One that was answered, with how."""

    method: str
    path: str
    token: str | None
    status: int


class FakeHub(ThreadingHTTPServer):
    """Repositories of models and data sets that belong to somebody, and what was asked for.

    Attributes:
        users: by token.
        repositories: by kind ("models", "datasets") and name.
        requests: that were answered, in order.
        uploads_until_cut: how many large files are taken before the connection breaks off in the middle of each further one;
            `None`: it holds.
        meanwhile: files of a commit that somebody else makes right before the next one arrives.
    """

    def __init__(self, users: Mapping[str, User]) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.users = dict(users)
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.contents: Files = {}  # large files, by hash
        self.requests: list[Request] = []
        self.uploads_until_cut: int | None = None
        self.lock = Lock()
        self.meanwhile: Files = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """For processes that are to take this for the Hub."""
        return {"HF_ENDPOINT": self.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}

    def files(self, name: str, branch: str = "main", kind: str = "models") -> Files:
        """Of a branch of a repository, by path."""
        return self.repositories[kind, name].branches[branch]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing on the error stream: clients are cut off on purpose."""


@contextmanager
def fake_hub(users: Mapping[str, User] | None = None) -> Iterator[FakeHub]:
    """A running server.

    Args:
        users: by token; default "secret" is the token of "me".
    """
    with FakeHub({"secret": User("me")} if users is None else users) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class _Answers(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing on the error stream."""

    @property
    def _token(self) -> str | None:
        return self.headers.get("Authorization")

    @property
    def _user(self) -> User | None:
        return self.server.users.get((self._token or "").removeprefix("Bearer "))

    @property
    def _parts(self) -> list[str]:
        """Of the path; a revision such as refs/pr/1 is one part."""
        return [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]

    @property
    def _asks_for_pr(self) -> bool:
        return parse_qs(urlsplit(self.path).query).get("create_pr") == ["1"]

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
        self.server.requests.append(Request(self.command, unquote(self.path), self._token, status))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_json(self, values: Any, status: int = 200, **headers: str) -> None:
        self._send(status, json.dumps(values).encode(), {"Content-Type": "application/json", **headers})

    def _refuse(self, status: int, message: str, code: str | None = None) -> None:
        self._send_json({"error": message}, status, **{"X-Error-Message": message, **({"X-Error-Code": code} if code else {})})

    def _readable(self, kind: str, name: str) -> Repository | None:
        """A repository that this user may see; what is private is not even said to be there."""
        repository = self.server.repositories.get((kind, name))
        seen = repository is not None and (not repository.private or (self._user and self._user.writes_to(name)))
        if not seen:
            self._refuse(404 if self._user else 401, "Repository not found", "RepoNotFound")
            return None
        return repository

    def _writable(self, kind: str, name: str) -> Repository | None:
        """A repository that this user may change, or propose a change to."""
        repository = self._readable(kind, name)
        if repository is None:
            return None
        if self._user is None:
            self._refuse(401, "Invalid username or password.")
            return None
        if not (self._asks_for_pr or self._user.writes_to(name)):
            self._refuse(403, f"Forbidden: you don't have write access to {name}.")
            return None
        return repository

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        match self._parts:
            case ["api", "whoami-v2"]:
                self._whoami()
            case ["api", ("models" | "datasets") as kind, owner, name, "tree", revision, *folder]:
                self._tree(kind, f"{owner}/{name}", revision, "/".join(folder))
            case ["api", ("models" | "datasets") as kind, owner, name, *rest]:
                self._info(kind, f"{owner}/{name}", rest[1] if rest[:1] == ["revision"] else "main")
            case ["datasets", owner, name, "resolve", revision, *path]:
                self._resolve("datasets", f"{owner}/{name}", revision, "/".join(path))
            case [owner, name, "resolve", revision, *path]:
                self._resolve("models", f"{owner}/{name}", revision, "/".join(path))
            case _:
                self._refuse(404, "Not found", "RepoNotFound")

    def _whoami(self) -> None:
        user = self._user
        if user is None:
            return self._refuse(401, "Invalid username or password.")
        token = {"displayName": "test", "role": user.role}
        self._send_json({"type": "user", "name": user.name, "orgs": [{"name": name} for name in user.organizations],
                         "auth": {"type": "access_token", "accessToken": token}})  # fmt: skip

    def _files_at(self, kind: str, name: str, revision: str) -> Files | None:
        repository = self._readable(kind, name)
        if repository is None:
            return None
        files = repository.at(revision)
        if files is None:
            self._refuse(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return files

    def _info(self, kind: str, name: str, revision: str) -> None:
        files = self._files_at(kind, name, revision)
        if files is not None:
            siblings = [{"rfilename": path} for path in files]
            private = self.server.repositories[kind, name].private
            self._send_json({"id": name, "sha": _commit(files), "siblings": siblings, "private": private, "tags": []})

    def _tree(self, kind: str, name: str, revision: str, folder: str) -> None:
        files = self._files_at(kind, name, revision)
        if files is None:
            return
        start = f"{folder}/" if folder else ""
        inside = [path for path in files if path.startswith(start)]
        if folder and not inside:
            return self._refuse(404, f"{folder} does not exist on {revision}", "EntryNotFound")
        recursive = parse_qs(urlsplit(self.path).query).get("recursive") in (["true"], ["True"], ["1"])
        below = {parent for path in inside for parent in _folders(path) if parent.startswith(start) and parent != folder}
        if not recursive:
            inside = [path for path in inside if "/" not in path.removeprefix(start)]
            below = {path for path in below if "/" not in path.removeprefix(start)}
        folders = [{"type": "directory", "path": path, "size": 0, "oid": _blob(path.encode())} for path in sorted(below)]
        self._send_json([*folders, *(_entry(path, files[path]) for path in inside)])

    def _paths_info(self, kind: str, name: str, revision: str, paths: list[str]) -> None:
        files = self._files_at(kind, name, revision)
        if files is not None:
            known = {parent for path in files for parent in _folders(path)}
            found = [_entry(path, files[path]) for path in paths if path in files]
            found += [
                {"type": "directory", "path": path, "size": 0, "oid": _blob(path.encode())} for path in paths if path in known
            ]
            self._send_json(found)

    def _resolve(self, kind: str, name: str, revision: str, path: str) -> None:
        files = self._files_at(kind, name, revision)
        if files is None:
            return
        content = files.get(path)
        headers = {"X-Repo-Commit": _commit(files), "Accept-Ranges": "bytes"}
        if content is None:
            return self._send_json({"error": "Entry not found"}, 404, **headers, **{"X-Error-Code": "EntryNotFound"})
        etag = _oid(path, content)
        headers["ETag"] = f'"{etag}"'
        if path.endswith(LFS):
            headers |= {"X-Linked-ETag": f'"{etag}"', "X-Linked-Size": str(len(content))}
        wanted = self.headers.get("Range")
        if wanted is None:
            return self._send(200, content, headers)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = content[int(first) : int(last) + 1 if last else None]
        headers["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
        self._send(206, part, headers)

    def do_POST(self) -> None:
        body = self._body()
        match self._parts:
            case ["api", "repos", "create"]:
                self._create(json.loads(body))
            case ["api", "validate-yaml"]:
                bad = "---\n" not in json.loads(body)["content"]
                self._send_json({"errors": [{"message": "no metadata"}] if bad else [], "warnings": []}, 400 if bad else 200)
            case ["api", ("models" | "datasets") as kind, owner, name, "paths-info", revision]:
                sent = self.headers.get("Content-Type", "").startswith("application/json")
                paths = json.loads(body)["paths"] if sent else parse_qs(body.decode())["paths"]
                self._paths_info(kind, f"{owner}/{name}", revision, [paths] if isinstance(paths, str) else paths)
            case ["api", ("models" | "datasets") as kind, owner, name, "branch", branch]:
                self._make_branch(kind, f"{owner}/{name}", branch)
            case ["api", ("models" | "datasets") as kind, owner, name, "preupload", revision]:
                self._preupload(kind, f"{owner}/{name}", revision, json.loads(body)["files"])
            case ["api", ("models" | "datasets") as kind, owner, name, "commit", revision]:
                self._take_commit(kind, f"{owner}/{name}", revision, [json.loads(line) for line in body.splitlines()])
            case ["datasets", _, _, "info", "lfs", "objects", "batch"] | [_, _, "info", "lfs", "objects", "batch"]:
                self._batch(json.loads(body)["objects"])
            case _:
                self._refuse(404, "Not found", "RepoNotFound")

    def _create(self, values: Mapping[str, Any]) -> None:
        user, kind = self._user, f"{values.get('type') or 'model'}s"
        if user is None:
            return self._refuse(401, "Invalid username or password.")
        name = f"{values.get('organization') or user.name}/{values['name']}"
        if not user.writes_to(name):
            return self._refuse(403, f"You don't have the rights to create a {kind[:-1]} under this namespace")
        url = f"{self.server.url}/{'' if kind == 'models' else f'{kind}/'}{name}"
        taken = (kind, name) in self.server.repositories
        if not taken:
            private = bool(values.get("private")) or values.get("visibility") == "private"
            self.server.repositories[kind, name] = Repository(private)
        told = {"error": f"You already created this {kind[:-1]} repo"} if taken else {}
        self._send_json({"url": url, "name": name, **told}, 409 if taken else 200)

    def _make_branch(self, kind: str, name: str, branch: str) -> None:
        repository = self._writable(kind, name)
        if repository is None:
            return
        if branch in repository.branches:
            return self._refuse(409, f"Reference already exists: {branch}")
        repository.branches[branch] = dict(repository.branches["main"])
        self._send_json({})

    def _preupload(self, kind: str, name: str, revision: str, asked: list[dict[str, Any]]) -> None:
        repository = self._writable(kind, name)
        if repository is None:
            return
        files = repository.at(revision)
        if files is None:
            return self._refuse(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        answers = [{"path": path, "uploadMode": "lfs" if path.endswith(LFS) else "regular", "shouldIgnore": False,
                    **({"oid": _oid(path, files[path])} if path in files else {})}
                   for path in (each["path"] for each in asked)]  # fmt: skip
        self._send_json({"files": answers})

    def _batch(self, objects: list[dict[str, Any]]) -> None:
        """Large files that are there already need no upload."""
        self._send_json({"transfer": "basic", "objects": [
            {"oid": each["oid"], "size": each["size"]} if each["oid"] in self.server.contents else
            {"oid": each["oid"], "size": each["size"],
             "actions": {"upload": {"href": f"{self.server.url}/contents/{each['oid']}"}}}
            for each in objects
        ]})  # fmt: skip

    def _take_commit(self, kind: str, name: str, revision: str, lines: list[dict[str, Any]]) -> None:
        repository = self._writable(kind, name)
        if repository is None:
            return
        repository.branches[revision].update(self.server.meanwhile)
        self.server.meanwhile = {}
        files = dict(repository.branches[revision])
        parent = next((line["value"].get("parentCommit") for line in lines if line["key"] == "header"), None)
        if parent not in (None, _commit(files)) and not self._asks_for_pr:
            return self._refuse(412, "A commit has happened since. Please refresh and try again.")
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.contents[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        answer = {"success": True, "hookOutput": ""}
        if self._asks_for_pr:
            number = 1 + sum(branch.startswith("refs/pr/") for branch in repository.branches)
            revision = f"refs/pr/{number}"
            answer["pullRequestUrl"] = f"{self.server.url}/{name}/discussions/{number}"
        repository.branches[revision] = repository.commits[_commit(files)] = files
        url = f"{self.server.url}/{name}/commit/{_commit(files)}"
        self._send_json({**answer, "commitUrl": url, "commitOid": _commit(files)})

    def do_PUT(self) -> None:
        with self.server.lock:  # the client sends several files at a time
            left = self.server.uploads_until_cut
            if left:
                self.server.uploads_until_cut = left - 1
        if left == 0:
            self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
            self.server.requests.append(Request("PUT", self.path, self._token, 0))
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.server.contents[self._parts[-1]] = self._body()
        self._send(200, b"", {})


def _oid(path: str, content: bytes) -> str:
    """What the Hub tells a file by: a large one by SHA-256, text as git does."""
    return hashlib.sha256(content).hexdigest() if path.endswith(LFS) else _blob(content)


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _folders(path: str) -> list[str]:
    """All folders that a file is in."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _entry(path: str, content: bytes) -> dict[str, Any]:
    """A file as the Hub lists it."""
    large = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return {"type": "file", "path": path, "size": len(content), "oid": _blob(content)} | (
        {"lfs": large} if path.endswith(LFS) else {}
    )


def _commit(files: Mapping[str, bytes]) -> str:
    """A name for a branch's state."""
    digest = hashlib.sha1()
    for path in sorted(files):
        digest.update(path.encode() + hashlib.sha1(files[path]).digest())
    return digest.hexdigest()
