#!/usr/bin/env python3
"""Serves a folder over HTTP for the tests of downloads. Prints its port, then a line `PATH RANGE STATUS` a request.

usage: serve.py FOLDER
A path's first part says how it is served: plain (with ranges), cut (the first answer for a path breaks off after half of
its bytes, and the second is an error 503), stubborn (cut, but each answer brings half of what is left), whole (the first
answer breaks off, ranges are not understood), page (an HTML page instead of the file), busy (error 503).
"""
import http.server
import pathlib
import re
import sys

folder = pathlib.Path(sys.argv[1])
seen: dict[str, int] = {}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        manner, _, name = self.path.strip("/").partition("/")
        count = seen[self.path] = seen.get(self.path, 0) + 1
        wanted = self.headers.get("Range", "")
        file = folder / name
        data = file.read_bytes() if file.is_file() else None
        if manner == "page":
            data = b"<html>Sign in first</html>"
        start = 0
        if match := re.fullmatch(r"bytes=(\d+)-", wanted if manner != "whole" else ""):
            start = int(match[1])
        status = 206 if start else 200
        if data is None:
            status = 404
        elif manner == "busy" or (manner == "cut" and count == 2):
            status = 503
        elif start >= len(data) and start:
            status = 416
        print(self.path, wanted or "-", status, flush=True)
        self.send_response(status)
        if status not in (200, 206):
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = data[start:]
        self.send_header("Content-Length", str(len(body)))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if (count == 1 and manner in ("cut", "whole")) or (manner == "stubborn" and len(body) > 100):
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
