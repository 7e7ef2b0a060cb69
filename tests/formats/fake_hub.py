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
    """``repos``: name -> {path: bytes}; ``token``: what it asks for; ``gated``: names that are."""

    def __init__(self, token: str = "hf_secret"):
        self.repos: dict[str, dict[str, bytes]] = {}
        self.token, self.gated, self.commits = token, set(), []
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
                path = unquote(urlsplit(self.path).path)
                parts = path.removeprefix("/api/models/").strip("/").split("/")
                name = "/".join(parts[:2])
                if name not in hub.repos:
                    return self.missing()
                held = hub.repos[name]
                if path.startswith("/api/models/") and "tree" in parts:
                    return self.answer(200, [
                        {"type": "file", "path": p, "size": len(d), "oid": hashlib.sha1(d).hexdigest()}
                        for p, d in sorted(held.items())
                    ])  # fmt: skip
                if path.startswith("/api/models/"):
                    files = [{"rfilename": p} for p in sorted(held)]
                    return self.answer(200, {"id": name, "sha": "1" * 40, "siblings": files, "private": False,
                                             "downloads": 0, "likes": 0, "tags": [], "modelId": name})  # fmt: skip
                if name in hub.gated:
                    return self.answer(403, {"error": "no"}, X_Error_Code="GatedRepo")
                file = "/".join(parts[4:])
                if file not in held:
                    return self.answer(404, {"error": "no"}, X_Error_Code="EntryNotFound")
                etag = f'"{hashlib.sha1(held[file]).hexdigest()}"'
                return self.answer(200, held[file], ETag=etag, X_Repo_Commit="1" * 40)

            do_HEAD = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
