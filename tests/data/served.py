"""A small LJSpeech, its archive, and a server that hands it out: whole, in parts, slowly, or with faults."""

import hashlib
import io
import tarfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import soundfile


def metadata(ids):
    return "".join(f"{name}|Clip No. {i}.|Clip number {i}.\n" for i, name in enumerate(ids)).encode()


def recording(i, seconds=0.3, rate=22_050):
    wave = 0.1 * np.random.default_rng(i).standard_normal(int(rate * seconds))
    out = io.BytesIO()
    soundfile.write(out, wave, rate, "PCM_16", format="WAV")
    return out.getvalue()


def tar(files, mode="w:bz2"):
    """An archive of (name, bytes), or (TarInfo, bytes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in files:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if member.isreg():
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def small_ljspeech(ids, seconds=0.3):
    """The archive of a corpus with these ids; transcripts come before the recordings, as a hard case."""
    recordings = [(f"LJSpeech-1.1/wavs/{name}.wav", recording(i, seconds)) for i, name in enumerate(ids)]
    return tar([("LJSpeech-1.1/metadata.csv", metadata(ids)), ("LJSpeech-1.1/README", b"About.\n"), *recordings])


def md5(data):
    return hashlib.md5(data).hexdigest()


class Server:
    """What is served, how, and what has been asked for."""

    def __init__(self, data):
        self.data = data
        self.ranges = True
        self.bytes_per_s = None
        self.cut_after = []  # Bytes after which a connection breaks, one an answer.
        self.statuses = []  # Answers of this status first.
        self.asked = []
        self.url = ""


@contextmanager
def serving(data):
    server = Server(data)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range")
            server.asked.append(asked)
            if server.statuses:
                self.send_error(server.statuses.pop(0))
                return
            body, total = server.data, len(server.data)
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
            if asked and server.ranges and start >= total:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if asked and server.ranges else 200)
            if asked and server.ranges:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.send_header("Content-Length", str(total - start))
            self.end_headers()
            end = start + server.cut_after.pop(0) if server.cut_after else total
            self.write(body[start:end])

        def write(self, body):
            step = len(body) if server.bytes_per_s is None else max(1, server.bytes_per_s // 50)
            try:
                for start in range(0, len(body), step or 1):
                    self.wfile.write(body[start : start + step])
                    if server.bytes_per_s is not None:
                        time.sleep(0.02)
            except OSError:
                pass  # The reader was killed.

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}/LJSpeech-1.1.tar.bz2"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def snapshot(folder: Path):
    """Every file's bytes, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
