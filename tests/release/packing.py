"""Packs small files as if they were the binaries of all targets, and checks the files of the release.

usage: packing.py

`make dist` packs the real binaries, which take minutes to build.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / ".github/release/dist.py"
sys.path.insert(0, str(DIST.parent))

import dist  # noqa: E402

PROGRAM = b"#!/bin/sh\n"
LICENSES = ["LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-NOTICES.txt", "rust-standard-library.html"]
STACK = [*LICENSES, "README.md", "function.zip", "samconfig.toml", "site.yaml", "template-s3.yaml", "template.yaml"]
COMMANDS = "completions create distributions invoke list plan replay status usage verify".split()
MANUAL = [
    *(f"completions/{name}" for name in ("_cf-invalidate", "_cf-invalidate.ps1")),
    *(f"completions/cf-invalidate.{shell}" for shell in ("bash", "elv", "fish")),
    *(f"man/cf-invalidate{command}.1" for command in ("", *(f"-{command}" for command in COMMANDS))),
]


class Mismatch(Exception):
    """A file of the release is not as expected."""


def expect(subject: str, expected: object, got: object) -> None:
    if expected != got:
        raise Mismatch(f"{subject}\n  expected  {expected}\n  got       {got}")


def pack(out: Path, binary: Path) -> None:
    """Packs the binary for all targets, and finishes the release."""
    commands = [
        *(["function", "--architecture", name, "--binary", str(binary)] for name in dist.LAMBDA_TARGETS),
        *(["cli", "--target", target, "--binary", str(binary)] for target in dist.TARGETS),
        ["finish", "--all"],
    ]
    for command in commands:
        run([*command, "--out", str(out)], 0)


def run(arguments: list[str], exit_code: int) -> str:
    """Runs dist.py and returns what it printed."""
    result = subprocess.run(
        [sys.executable, "-B", str(DIST), *arguments],
        env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode != exit_code:
        raise Mismatch(f"dist.py {' '.join(arguments)} exited with {result.returncode}:\n{result.stdout}")
    return result.stdout


def check_function(out: Path) -> None:
    for architecture in ("x86_64", "arm64"):
        with ZipFile(out / f"cloudfront-invalidator-lambda-{architecture}.zip") as archive:
            expect("files of the function", ["bootstrap"], archive.namelist())
            expect("mode of bootstrap", 0o755, archive.getinfo("bootstrap").external_attr >> 16 & 0o777)
            expect("bootstrap", PROGRAM, archive.read("bootstrap"))
            function = Path(archive.filename or "").read_bytes()
        with ZipFile(out / f"cloudfront-invalidator-stack-{architecture}.zip") as archive:
            expect("files of the stack", sorted(STACK), sorted(archive.namelist()))
            expect("function.zip", True, archive.read("function.zip") == function)
            for name in ("template.yaml", "template-s3.yaml"):
                allowed = re.findall(r"AllowedValues: \[((?:x86_64|arm64)[^\]]*)\]", archive.read(name).decode())
                expect(f"architectures of {name}", [architecture], allowed)


def check_command_line(out: Path) -> None:
    unix = {}
    for target in dist.TARGETS:
        folder = f"cf-invalidate-{target}"
        if "windows" in target:
            with ZipFile(out / f"{folder}.zip") as archive:
                names, program = archive.namelist(), archive.read(f"{folder}/cf-invalidate.exe")
            binary = "cf-invalidate.exe"
        else:
            with tarfile.open(out / f"{folder}.tar.gz") as archive:
                names = archive.getnames()
                entry = archive.getmember(f"{folder}/cf-invalidate")
                expect("mode, owner and time of the program", (0o755, 0, 1700000000), (entry.mode, entry.uid, entry.mtime))
                file = archive.extractfile(entry)
                program = file.read() if file else b""
                page = archive.extractfile(f"{folder}/man/cf-invalidate.1")
                unix[target] = page.read().decode() if page else ""
            binary = "cf-invalidate"
        expect(f"files for {target}", sorted(f"{folder}/{name}" for name in [binary, *LICENSES, *MANUAL]), sorted(names))
        expect(f"program for {target}", PROGRAM, program)
    version = dist.PACKAGE["version"]
    for target, page in unix.items():
        expect(f"version in the man page for {target}", True, f'"cf-invalidate {version}"' in page)


def check_index(out: Path) -> None:
    files = sorted(path.name for path in out.iterdir() if path.name != "SHA256SUMS")
    listed = dict(reversed(line.split("  ")) for line in (out / "SHA256SUMS").read_text().splitlines())
    expect("files in SHA256SUMS", files, sorted(listed))
    for name, digest in listed.items():
        expect(f"checksum of {name}", hashlib.sha256((out / name).read_bytes()).hexdigest(), digest)
    formula = (out / "cf-invalidate.rb").read_text()
    for name in ("cf-invalidate.rb", "Dockerfile", "install.sh"):
        expect(f"placeholders in {name}", [], re.findall(r"\{\{[\w.:-]*\}\}", (out / name).read_text()))
    for target in dist.TARGETS:
        if "windows" not in target:
            expect(f"checksum for {target} in the formula", True, listed[f"cf-invalidate-{target}.tar.gz"] in formula)


def check_metadata() -> None:
    """Compares the places that repeat the version and the repository."""
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    address = package["repository"].removeprefix("https://")
    own = address.split("/")[-1]
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.y*ml"), *ROOT.glob(".github/**/*.*")):
        for found in re.findall(rf"github\.com/[\w.-]+/{own}\b", path.read_text(encoding="utf-8")):
            expect(f"repository in {path.relative_to(ROOT)}", address, found)


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        binary = Path(directory, "program")
        binary.write_bytes(PROGRAM)
        first, second = Path(directory, "first"), Path(directory, "second")
        try:
            missing = run(["finish", "--all", "--out", str(first)], 1)
            expect("error for a release without archives", True, "cf-invalidate-x86_64-apple-darwin.tar.gz" in missing)
            pack(first, binary)
            check_function(first)
            check_command_line(first)
            check_index(first)
            check_metadata()
            # The same commit makes the same files.
            run(["function", "--architecture", "arm64", "--binary", str(binary), "--out", str(second)], 0)
            for path in second.iterdir():
                expect(f"a second {path.name}", True, path.read_bytes() == (first / path.name).read_bytes())
        except Mismatch as mismatch:
            print(f"failed: {mismatch}", file=sys.stderr)
            return 1
    print(f"{len(dist.archives())} archives are complete")
    return 0


if __name__ == "__main__":
    sys.exit(main())
