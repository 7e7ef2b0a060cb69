"""A hub on this machine, of which the client library sees no difference: repositories in memory, commits,
listings, downloads."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class FakeHub:
    """``repos``: name -> {path: bytes}; ``token``: what it asks for; ``gated``: names that are; ``private``: names that
    it shows with the token only; ``versions``: (name, branch, tag or commit) -> (commit, {path: bytes}); ``status``: what it
    answers to everything, unless 0; ``asked``: the paths of all requests."""

    def __init__(self, token: str = "hf_secret"):
        self.repos: dict[str, dict[str, bytes]] = {}
        self.token, self.gated, self.commits = token, set(), []
        self.private: set[str] = set()
        self.versions: dict[tuple[str, str], tuple[str, dict[str, bytes]]] = {}
        self.status, self.asked = 0, []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body=b"", **headers):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def missing(self):
                self.answer(404, {"error": "no"}, X_Error_Code="RepoNotFound")

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                if urlsplit(self.path).path == "/api/validate-yaml":  # anybody may ask
                    return self.answer(200, {"errors": [], "warnings": []})
                if self.headers.get("Authorization") != f"Bearer {hub.token}":
                    return self.answer(401, {"error": "no"})
                path = urlsplit(self.path).path
                if path == "/api/repos/create":
                    asked = json.loads(body)
                    name = f"{asked.get('organization') or 'me'}/{asked['name']}"
                    known = name in hub.repos
                    hub.repos.setdefault(name, {})
                    return self.answer(409 if known else 200, {"url": f"{hub.url}/{name}", "name": name})
                org, repo, action = path.removeprefix("/api/models/").split("/")[:3]
                name = f"{org}/{repo}"
                if name not in hub.repos:
                    return self.missing()
                if action == "preupload":
                    asked = [f["path"] for f in json.loads(body)["files"]]
                    found = [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in asked]
                    return self.answer(200, {"files": found})
                header, *operations = [json.loads(line) for line in body.splitlines()]
                for op in operations:
                    assert op["key"] == "file", op
                    hub.repos[name][op["value"]["path"]] = base64.b64decode(op["value"]["content"])
                hub.commits.append(header["value"]["summary"])
                return self.answer(
                    200, {"commitUrl": f"{hub.url}/{name}/commit/{'1' * 40}", "commitOid": "1" * 40}
                )

            def do_GET(self):
                raw = urlsplit(self.path).path
                path = unquote(raw)
                hub.asked.append(path)
                if hub.status:
                    return self.answer(hub.status, {"error": "busy"})
                parts = [unquote(part) for part in raw.removeprefix("/api/models/").strip("/").split("/")]
                name = "/".join(parts[:2])
                known = name in hub.repos
                if not known or (
                    name in hub.private and self.headers.get("Authorization") != f"Bearer {hub.token}"
                ):
                    return self.missing()
                revision = (
                    parts[3] if len(parts) > 3 and parts[2] in ("revision", "resolve", "tree") else "main"
                )
                commit, held = "1" * 40, hub.repos[name]
                if revision not in ("main", commit):
                    if (name, revision) not in hub.versions:
                        return self.answer(404, {"error": "no"}, X_Error_Code="RevisionNotFound")
                    commit, held = hub.versions[name, revision]
                if path.startswith("/api/models/") and "tree" in parts:
                    return self.answer(200, [
                        {"type": "file", "path": p, "size": len(d), "oid": hashlib.sha1(d).hexdigest()}
                        for p, d in sorted(held.items())
                    ])  # fmt: skip
                if path.startswith("/api/models/"):
                    files = [{"rfilename": p} for p in sorted(held)]
                    return self.answer(200, {"id": name, "sha": commit, "siblings": files, "private": False,
                                             "downloads": 0, "likes": 0, "tags": [], "modelId": name})  # fmt: skip
                if name in hub.gated:
                    return self.answer(403, {"error": "no"}, X_Error_Code="GatedRepo")
                file = "/".join(parts[4:])
                if file not in held:
                    return self.answer(404, {"error": "no"}, X_Error_Code="EntryNotFound")
                etag = f'"{hashlib.sha1(held[file]).hexdigest()}"'
                return self.answer(200, held[file], ETag=etag, X_Repo_Commit=commit)

            do_HEAD = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
