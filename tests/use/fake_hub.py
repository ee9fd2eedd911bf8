"""A Hugging Face hub on loopback, as far as uploading and downloading a few small files needs it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeHub:
    """Server with one revision per repository.

    `repositories` holds the files by repository, `requests` what was asked for.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.requests: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def answer(self, content: Any, status: int = 200, **headers: str) -> None:
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    parts = []
                    while size := int(self.rfile.readline(), 16):
                        parts.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    return b"".join(parts)
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def do_POST(self) -> None:
                hub.requests.append(f"POST {self.path}")
                body = self.body()
                if self.path == "/api/repos/create":
                    given = json.loads(body)
                    name = "/".join(filter(None, (given.get("organization") or "user", given["name"])))
                    hub.repositories.setdefault(name, {})
                    self.answer({"url": f"{hub.address}/{name}", "name": name})
                elif "/preupload/" in self.path:
                    files = json.loads(body)["files"]
                    kinds = [
                        {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                        for file in files
                    ]
                    self.answer({"files": kinds})
                elif found := re.fullmatch(r"/api/models/(.+?)/commit/.+", self.path):
                    for line in body.splitlines():
                        change = json.loads(line)
                        if change["key"] == "file":
                            value = change["value"]
                            hub.repositories[found[1]][value["path"]] = base64.b64decode(value["content"])
                    url = f"{hub.address}/{found[1]}/commit/{hub.revision(found[1])}"
                    self.answer({"commitUrl": url, "commitOid": hub.revision(found[1]), "success": True})
                else:  # such as the validation of the card
                    self.answer({"errors": [], "warnings": []})

            def do_GET(self) -> None:
                hub.requests.append(f"{self.command} {self.path}")
                path = self.path.split("?")[0]
                if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
                    content = hub.repositories.get(found[1], {}).get(found[2])
                    if content is None:
                        self.answer({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
                        return
                    etag = f'"{hashlib.sha1(content).hexdigest()}"'
                    self.answer(content, ETag=etag, X_Repo_Commit=hub.revision(found[1]))
                elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/[^/]+|/tree/.+)?", path):
                    if found[1] not in hub.repositories:
                        self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
                        return
                    files = hub.repositories[found[1]]
                    if (found[2] or "").startswith("/tree/"):
                        entries = [
                            {"type": "file", "path": name, "size": len(text), "oid": ""} for name, text in files.items()
                        ]
                        self.answer(entries)
                        return
                    siblings = [{"rfilename": name, "size": len(text)} for name, text in files.items()]
                    answer = {"id": found[1], "sha": hub.revision(found[1]), "siblings": siblings, "private": False}
                    self.answer({**answer, "tags": [], "downloads": 0})
                else:
                    self.answer({"name": "user", "type": "user", "orgs": []})

            do_HEAD = do_GET  # noqa: N815

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def revision(self, name: str) -> str:
        files = sorted(self.repositories[name].items())
        return hashlib.sha1(b"".join(key.encode() + value for key, value in files)).hexdigest()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
