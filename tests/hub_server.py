"""A hub on this machine, a process of its own: as much of its protocol as fetching and uploading voices needs."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """Repositories are folders OWNER/NAME under `root`; all revisions but `gone` are the same commit."""

    root: Path
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        print(format % args, file=sys.stderr, flush=True)

    def answer(self, status, content=b"", **headers):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, code):
        self.answer(404, {"error": code}, X_Error_Code=code, X_Error_Message=code)

    def repository(self, parts):
        folder = self.root / parts[0] / parts[1]
        return folder if folder.is_dir() else None

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = urlparse(self.path).path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            folder = self.repository(parts[2:])
            if folder is None:
                return self.refuse("RepoNotFound")
            if len(parts) > 5 and parts[5] == "gone":
                return self.refuse("RevisionNotFound")
            names = sorted(path.name for path in folder.iterdir())
            if len(parts) > 4 and parts[4] == "tree":
                tree = [
                    {"type": "file", "oid": COMMIT, "size": (folder / name).stat().st_size, "path": name}
                    for name in names
                ]
                return self.answer(200, tree)
            siblings = [{"rfilename": name} for name in names]
            return self.answer(200, {"id": "/".join(parts[2:4]), "sha": COMMIT, "siblings": siblings})
        if len(parts) >= 5 and parts[2] == "resolve":
            folder = self.repository(parts)
            if folder is None:
                return self.refuse("RepoNotFound")
            if parts[3] == "gone":
                return self.refuse("RevisionNotFound")
            path = folder / "/".join(parts[4:])
            if not path.is_file():
                return self.refuse("EntryNotFound")
            data = path.read_bytes()
            etag = hashlib.sha256(data).hexdigest()
            return self.answer(200, data, X_Repo_Commit=COMMIT, ETag=f'"{etag}"', Content_Length=str(len(data)))
        return self.answer(404, {"error": "nothing here"})

    def do_POST(self):
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlparse(self.path).path.strip("/").split("/")
        assert parse_qs(urlparse(self.path).query) is not None
        if self.headers.get("Authorization") != "Bearer hf_token":
            return self.answer(401, {"error": "log in"})
        if parts == ["api", "validate-yaml"]:
            return self.answer(200, {"errors": [], "warnings": []})
        if parts == ["api", "repos", "create"]:
            asked = json.loads(data)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            (self.root / name).mkdir(parents=True, exist_ok=True)
            return self.answer(200, {"url": f"http://{self.headers['Host']}/{name}", "name": name})
        if parts[4:5] == ["preupload"]:
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(data)["files"]
            ]
            return self.answer(200, {"files": files})
        if parts[4:5] == ["commit"]:
            for line in data.decode().splitlines():
                one = json.loads(line)
                if one["key"] == "file":
                    path = self.root / parts[2] / parts[3] / one["value"]["path"]
                    path.write_bytes(base64.b64decode(one["value"]["content"]))
            url = f"http://{self.headers['Host']}/{parts[2]}/{parts[3]}/commit/{COMMIT}"
            return self.answer(200, {"commitUrl": url, "commitOid": COMMIT, "commitMessage": "done"})
        return self.answer(404, {"error": "nothing here"})


if __name__ == "__main__":
    Hub.root = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    print(server.server_address[1], flush=True)
    server.serve_forever()
