"""Builds and packs the files of a release into target/dist/.

usage: dist.py manual
       dist.py function --architecture x86_64|arm64
       dist.py cli --target TRIPLE
       dist.py finish [--all]

`manual` writes man pages and completion scripts, which `cli` needs: they are the same for all targets. `function` writes
the zip of the function and the archive with its templates, `cli` the archive of the command line, and `finish` the
installers, the release notes and SHA256SUMS over the files that are there. Binaries for Linux are built with zig for
glibc 2.17, so that they run on distributions since 2014. With --binary FILE, that binary is packed and nothing is built.

The same binaries make the same archives: files are sorted and have the time of the commit.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import templates

ROOT = Path(__file__).resolve().parents[2]
RELEASE = Path(__file__).resolve().parent
OUT = ROOT / "target/dist"
MANUAL = ROOT / "target/manual"
AUDIT = Path(os.environ.get("AUDIT", ROOT / "target/audit"))  # by `make audit`, or by third_party.py
PACKAGE = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]
LICENSES = ("LICENSE-APACHE", "LICENSE-MIT")

GLIBC = "2.17"  # the oldest that Rust supports: https://doc.rust-lang.org/rustc/platform-support.html
FUNCTION = "cloudfront-invalidator"
COMMAND_LINE = "cf-invalidate"
AUDITED = [f"{binary}.{kind}" for binary in (FUNCTION, COMMAND_LINE) for kind in ("cdx.json", "notices.txt")]
LAMBDA_TARGETS = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
TARGETS = (
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
)

# A file of an archive: its path there, its content, and whether it is a program.
File = tuple[str, bytes, bool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("manual", help="write man pages and completion scripts into target/manual/")
    function = commands.add_parser("function", help="write the zip and the templates of the function")
    function.add_argument("--architecture", choices=LAMBDA_TARGETS, required=True)
    cli = commands.add_parser("cli", help="write the archive of the command line")
    cli.add_argument("--target", choices=TARGETS, required=True)
    for command in (function, cli):
        command.add_argument("--binary", type=Path, help="pack this binary instead of building one")
    finish = commands.add_parser("finish", help="write the installers, the release notes and the checksums")
    finish.add_argument("--all", action="store_true", help="fail if the archive of a target is missing")
    for command in (function, cli, finish):
        command.add_argument("--out", type=Path, default=OUT, help="the directory of the release, target/dist by default")
    options = parser.parse_args()
    if options.command == "manual":
        write_manual()
        return
    options.out.mkdir(parents=True, exist_ok=True)
    if options.command == "function":
        write_function(options.out, options.architecture, options.binary)
    elif options.command == "cli":
        write_command_line(options.out, options.target, options.binary)
    else:
        write_index(options.out, options.all)


def write_manual() -> None:
    """Writes man pages and completion scripts."""
    shutil.rmtree(MANUAL, ignore_errors=True)
    cargo("run", "--locked", "--quiet", "--features", "cli", "--example", "manual", "--", str(MANUAL))


def write_function(out: Path, architecture: str, binary: Path | None) -> None:
    """Writes the zip for Lambda, and the archive for people who deploy it without a build."""
    binary = binary or build(FUNCTION, LAMBDA_TARGETS[architecture], [])
    code = zipped([("bootstrap", binary.read_bytes(), True)])
    write(out / f"{FUNCTION}-lambda-{architecture}.zip", code)
    files = [
        ("function.zip", code, False),
        *((name, text.encode(), False) for name, text in templates.files(architecture).items()),
        ("README.md", (RELEASE / "stack.md").read_bytes(), False),
        *licenses(FUNCTION),
    ]
    write(out / f"{FUNCTION}-stack-{architecture}.zip", zipped(files))


def write_command_line(out: Path, target: str, binary: Path | None) -> None:
    """Writes the archive of the command line with its man pages and completion scripts."""
    binary = binary or build(COMMAND_LINE, target, ["--features", "cli"])
    pages = sorted(path for path in MANUAL.rglob("*") if path.is_file())
    if not pages:
        sys.exit(f"{MANUAL} is empty: run `dist.py manual` first")
    folder = f"{COMMAND_LINE}-{target}"
    files = [
        (program_name(COMMAND_LINE, target), binary.read_bytes(), True),
        *((path.relative_to(MANUAL).as_posix(), path.read_bytes(), False) for path in pages),
        *licenses(COMMAND_LINE),
    ]
    files = [(f"{folder}/{name}", content, program) for name, content, program in files]
    name = archive_name(target)
    write(out / name, (zipped if name.endswith(".zip") else tarred)(files))


def write_index(out: Path, require_all: bool) -> None:
    """Writes what names or contains the other files: installers, SBOMs, notices, release notes, checksums."""
    for name in AUDITED:
        if (AUDIT / name).is_file():
            shutil.copyfile(AUDIT / name, out / name)
    if require_all and (missing := [name for name in (*archives(), *AUDITED) if not (out / name).is_file()]):
        sys.exit(f"missing in {out}: {', '.join(missing)}: run dist.py for each target, and `make audit`")
    shutil.copyfile(RELEASE / "install.sh", out / "install.sh")
    for name in ("cf-invalidate.rb", "Dockerfile"):
        text = (RELEASE / name).read_text(encoding="utf-8")
        try:
            write(out / name, filled(text, out).encode())
        except FileNotFoundError as missing:
            if require_all:
                raise
            (out / name).unlink(missing_ok=True)
            print(f"{name}: not written, because {Path(missing.filename).name} is not built")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    notes = release_notes(changelog, PACKAGE["version"])
    (out.parent / "release-notes.md").write_text(notes, encoding="utf-8")
    files = sorted(path for path in out.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    write(out / "SHA256SUMS", "".join(f"{sha256(path)}  {path.name}\n" for path in files).encode())


def archives() -> list[str]:
    """Returns the names of the archives of all targets."""
    return [
        *(f"{FUNCTION}-{kind}-{architecture}.zip" for architecture in LAMBDA_TARGETS for kind in ("lambda", "stack")),
        *map(archive_name, TARGETS),
    ]


def archive_name(target: str) -> str:
    """Returns the name of the archive of the command line for a target."""
    return f"{COMMAND_LINE}-{target}.{'zip' if 'windows' in target else 'tar.gz'}"


def program_name(binary: str, target: str) -> str:
    """Returns the name of the file of a binary on a target."""
    return f"{binary}.exe" if "windows" in target else binary


def build(binary: str, target: str, features: list[str]) -> Path:
    """Builds a binary in the release profile and returns its path."""
    zig = target.endswith("-linux-gnu")
    # Panics have the paths of sources. Those of the building machine say nothing to others.
    home = os.environ.get("CARGO_HOME", str(Path.home() / ".cargo"))
    flags = f"--remap-path-prefix={home}=/cargo --remap-path-prefix={ROOT}=/{FUNCTION}"
    if "windows" in target:
        # Otherwise it needs a DLL that only comes with Visual Studio's redistributable package.
        flags += " -C target-feature=+crt-static"
    started = time.monotonic()
    cargo(
        "zigbuild" if zig else "build", "--locked", "--release", "--bin", binary, *features,
        "--target", f"{target}.{GLIBC}" if zig else target, RUSTFLAGS=flags,
    )  # fmt: skip
    print(f"{binary} for {target}: built in {time.monotonic() - started:.0f} s", flush=True)
    directory = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / target / "release"
    return directory / program_name(binary, target)


def cargo(*arguments: str, **variables: str) -> None:
    """Runs cargo in the project; exits if it fails."""
    result = subprocess.run(["cargo", *arguments], cwd=ROOT, env=os.environ | variables, check=False)
    if result.returncode:
        sys.exit(f"cargo {arguments[0]} exited with {result.returncode}")


def licenses(binary: str) -> list[File]:
    """Returns the licenses of this project and the notices of the crates in the binary."""
    notices = AUDIT / f"{binary}.notices.txt"
    library = AUDIT / "rust-standard-library.html"
    for path in (notices, library):
        if not path.is_file():
            sys.exit(f"{path} is missing: run `python3 tests/audit/third_party.py` first")
    return [
        *((name, (ROOT / name).read_bytes(), False) for name in LICENSES),
        ("THIRD-PARTY-NOTICES.txt", notices.read_bytes(), False),
        (library.name, library.read_bytes(), False),
    ]


def filled(template: str, out: Path) -> str:
    """Replaces `{{version}}`, `{{repository}}` and `{{sha256:FILE}}` in the template of an installer."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("sha256:"):
            return sha256(out / name.removeprefix("sha256:"))
        return str(PACKAGE[name])

    return re.sub(r"\{\{([\w.:-]+)\}\}", value, template)


def release_notes(changelog: str, version: str) -> str:
    """Returns the section of the version in CHANGELOG.md; that of what is not released yet if it has none."""
    sections = dict(re.findall(r"^## \[([^\]]+)\][^\n]*\n(.*?)(?=^## \[|\Z)", changelog, re.MULTILINE | re.DOTALL))
    return sections.get(version, sections.get("Unreleased", "")).strip() + "\n"


def commit_time() -> int:
    """Returns the time of the commit, in seconds since 1970."""
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(epoch)
    result = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"git cannot tell the time of the commit: set SOURCE_DATE_EPOCH ({result.stderr.strip()})")
    return int(result.stdout)


def zipped(files: Iterable[File]) -> bytes:
    """Returns a zip of these files."""
    date = time.gmtime(commit_time())[:6]
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, content, program in sorted(files):
            entry = ZipInfo(name, date)
            entry.create_system = 3  # Unix, or the permissions have no meaning
            entry.external_attr = (0o100755 if program else 0o100644) << 16
            # A zip in the archive is compressed already.
            archive.writestr(entry, content, None if name.endswith(".zip") else ZIP_DEFLATED, compresslevel=9)
    return buffer.getvalue()


def tarred(files: Iterable[File]) -> bytes:
    """Returns a tar.gz of these files."""
    seconds = commit_time()
    buffer = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", compresslevel=9, fileobj=buffer, mtime=seconds) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content, program in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), seconds, 0o755 if program else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    print(f"{path.name}: {len(content) / 1024:,.0f} KiB")


if __name__ == "__main__":
    main()
