"""A local copy of the project's releases, from which the installer downloads."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import platform
import shutil
import subprocess
import tarfile
import threading
import tomllib
import unittest
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
MANIFEST = tomllib.loads((PROJECT / "Cargo.toml").read_text(encoding="utf-8"))["package"]
VERSION = MANIFEST["version"]
INSTALLER = PROJECT / ".github/release/install.sh"
BUILT = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target")).absolute() / "debug"

PROCESSORS = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
SYSTEMS = {"Linux": "unknown-linux-gnu", "Darwin": "apple-darwin"}
TARGET = f"{PROCESSORS[platform.machine()]}-{SYSTEMS[platform.system()]}"
ARCHIVE = f"cf-invalidate-{TARGET}.tar.gz"

# What the installer uses besides one program for downloads and one for checksums.
BASICS = "basename cat chmod cp cut dirname getconf grep gzip head ldd mkdir mktemp mv rm sed sh tar uname".split()


def script(version: str) -> bytes:
    """Returns a program that prints this version, as `cf-invalidate --version` does."""
    return f"#!/bin/sh\n[ \"$*\" = --version ] || exit 2\necho 'cf-invalidate {version}'\n".encode()


def archive(program: bytes, target: str = TARGET) -> bytes:
    """Returns an archive of the command line as in a release."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as members:
        entry = tarfile.TarInfo(f"cf-invalidate-{target}/cf-invalidate")
        entry.size, entry.mode = len(program), 0o755
        members.addfile(entry, io.BytesIO(program))
    return gzip.compress(file.getvalue(), 1)


def checksums(files: dict[str, bytes]) -> bytes:
    """Returns the contents of SHA256SUMS."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()).encode()


def run(command: list[str], environment: dict[str, str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program in a directory, with these variables alone and without input."""
    return subprocess.run(
        command,
        env=environment,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class Releases:
    """A server of files by their path, such as `latest/download/SHA256SUMS`. Other paths have the status 404."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.failures = 0  # how many of the next responses have the status 503
        self.held = threading.Event()  # set when the request for the held file has arrived
        self._held_path: str | None = None
        self._released = threading.Event()
        releases = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.removeprefix("/")
                releases.requests.append(path)
                if path == releases._held_path:
                    releases.held.set()
                    releases._released.wait(60)
                    return
                data = releases.files.get(path)
                if releases.failures:
                    releases.failures -= 1
                    self.send_error(503)
                elif data is None:
                    self.send_error(404)
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def add(self, version: str, program: bytes | None = None, target: str = TARGET) -> None:
        """Adds a release, which becomes the latest."""
        name = f"cf-invalidate-{target}.tar.gz"
        files = {"cf-invalidate.rb": b"", name: archive(program or script(version), target)}
        files["SHA256SUMS"] = checksums(files)
        for folder in (f"download/v{version}", "latest/download"):
            self.files |= {f"{folder}/{name}": data for name, data in files.items()}

    def hold(self, path: str) -> None:
        """Requests for this path get no response until `release`, and then an empty one."""
        self._held_path = path
        self.held.clear()
        self._released.clear()

    def release(self) -> None:
        self._held_path = None
        self._released.set()

    def stop(self) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def write_program(file: Path, text: str) -> None:
    """Writes a shell script that can be executed. It replaces a link and not the program that the link leads to."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)


def link_programs(directory: Path, *names: str) -> None:
    """Links these programs and BASICS into a directory that can be the whole PATH of a test.

    The test is skipped if this machine lacks one of these programs.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in {*BASICS, *names}:
        if program := shutil.which(name):
            (directory / name).unlink(missing_ok=True)
            (directory / name).symlink_to(program)
        elif name in names:
            raise unittest.SkipTest(f"{name} is not installed")


def listing(directory: Path) -> list[str]:
    """Returns all files and directories below a directory."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))
