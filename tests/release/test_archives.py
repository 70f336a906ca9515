"""Packs small files as if they were the binaries of all targets, and checks the files of the release.

`make dist` packs the real binaries, which take minutes to build.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / ".github/release/dist.py"
sys.path.insert(0, str(DIST.parent))

import dist  # noqa: E402

PROGRAM = b"#!/bin/sh\n"
COMMIT_TIME = 1_700_000_000  # seconds since 1970
NOTICES = ["LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-NOTICES.txt", "rust-standard-library.html"]
STACK = [*NOTICES, "README.md", "function.zip", "samconfig.toml", "site.yaml", "template-s3.yaml", "template.yaml"]
COMMANDS = "completions create distributions invoke list plan replay status usage verify".split()
MANUAL = [
    *(f"completions/{name}" for name in ("_cf-invalidate", "_cf-invalidate.ps1")),
    *(f"completions/cf-invalidate.{shell}" for shell in ("bash", "elv", "fish")),
    *(f"man/cf-invalidate{command}.1" for command in ("", *(f"-{command}" for command in COMMANDS))),
]
AUDITED = [f"{name}.{kind}" for name in ("cloudfront-invalidator", "cf-invalidate") for kind in ("cdx.json", "notices.txt")]
ARCHIVES = [
    "cloudfront-invalidator-lambda-x86_64.zip",
    "cloudfront-invalidator-stack-x86_64.zip",
    "cloudfront-invalidator-lambda-arm64.zip",
    "cloudfront-invalidator-stack-arm64.zip",
    "cf-invalidate-x86_64-unknown-linux-gnu.tar.gz",
    "cf-invalidate-aarch64-unknown-linux-gnu.tar.gz",
    "cf-invalidate-x86_64-apple-darwin.tar.gz",
    "cf-invalidate-aarch64-apple-darwin.tar.gz",
    "cf-invalidate-x86_64-pc-windows-msvc.zip",
]
UNIX = [name for name in ARCHIVES if name.endswith(".tar.gz")]


def run(audit: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs dist.py with the results of an audit."""
    return subprocess.run(
        [sys.executable, "-B", str(DIST), *map(str, arguments)],
        env=os.environ | {"SOURCE_DATE_EPOCH": str(COMMIT_TIME), "AUDIT": str(audit)},
        capture_output=True,
        text=True,
        check=False,
    )


class ArchivesTest(unittest.TestCase):
    audit: Path
    out: Path
    binary: Path

    @classmethod
    def setUpClass(cls) -> None:
        directory = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.out, cls.binary = directory / "release", directory / "program"
        cls.binary.write_bytes(PROGRAM)
        cls.audit = directory / "audit"
        cls.audit.mkdir()
        for name in (*AUDITED, "rust-standard-library.html"):
            (cls.audit / name).write_text(f"the content of {name}\n")
        commands: list[list[str | Path]] = [
            ["manual"],
            *(["function", "--architecture", name, "--binary", cls.binary] for name in dist.LAMBDA_TARGETS),
            *(["cli", "--target", target, "--binary", cls.binary] for target in dist.TARGETS),
            ["finish", "--all"],
        ]
        for command in commands:
            out: list[str | Path] = [] if command == ["manual"] else ["--out", cls.out]
            result = run(cls.audit, *command, *out)
            if result.returncode:
                raise AssertionError(f"dist.py {command[0]} exited with {result.returncode}:\n{result.stderr}")

    def test_a_release_has_an_archive_for_each_target(self) -> None:
        self.assertEqual(ARCHIVES, dist.archives())
        self.assertEqual([], [name for name in ARCHIVES if not (self.out / name).is_file()])

    def test_a_release_without_an_archive_is_refused(self) -> None:
        remedy = "run dist.py for each target, and `make audit`"
        with tempfile.TemporaryDirectory() as out:
            result = run(self.audit, "finish", "--all", "--out", out)
            self.assertEqual(1, result.returncode)
            self.assertEqual(f"missing in {out}: {', '.join(ARCHIVES)}: {remedy}\n", result.stderr)

    def test_a_release_without_an_sbom_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            out = Path(directory, "release")
            shutil.copytree(self.out, out, ignore=shutil.ignore_patterns(*AUDITED))
            result = run(Path(directory), "finish", "--all", "--out", out)
            self.assertEqual(1, result.returncode)
            remedy = "run dist.py for each target, and `make audit`"
            self.assertEqual(f"missing in {out}: {', '.join(AUDITED)}: {remedy}\n", result.stderr)

    def test_the_zip_of_the_function_has_one_executable_file(self) -> None:
        for architecture in ("x86_64", "arm64"):
            with ZipFile(self.out / f"cloudfront-invalidator-lambda-{architecture}.zip") as archive:
                self.assertEqual(["bootstrap"], archive.namelist())
                self.assertEqual(0o100755, archive.getinfo("bootstrap").external_attr >> 16)
                self.assertEqual(PROGRAM, archive.read("bootstrap"))

    def test_the_archive_of_the_stack_is_for_one_architecture(self) -> None:
        for architecture in ("x86_64", "arm64"):
            with ZipFile(self.out / f"cloudfront-invalidator-stack-{architecture}.zip") as archive:
                self.assertEqual(sorted(STACK), archive.namelist())
                function = self.out / f"cloudfront-invalidator-lambda-{architecture}.zip"
                self.assertEqual(function.read_bytes(), archive.read("function.zip"))
                for name in ("template.yaml", "template-s3.yaml"):
                    template = archive.read(name).decode()
                    self.assertEqual([architecture], re.findall(r"AllowedValues: \[((?:x86_64|arm64)[^\]]*)\]", template))

    def test_an_archive_of_the_command_line_has_man_pages_completions_and_notices(self) -> None:
        for name in UNIX:
            folder = name.removesuffix(".tar.gz")
            with tarfile.open(self.out / name) as archive:
                files = sorted(f"{folder}/{file}" for file in ["cf-invalidate", *NOTICES, *MANUAL])
                self.assertEqual(files, archive.getnames())
                entry = archive.getmember(f"{folder}/cf-invalidate")
                self.assertEqual((0o755, 0, COMMIT_TIME), (entry.mode, entry.uid, entry.mtime))
                self.assertEqual(PROGRAM, self.read(archive, entry.name))
                page = self.read(archive, f"{folder}/man/cf-invalidate.1").decode()
                self.assertIn(f'"cf-invalidate {dist.PACKAGE["version"]}"', page)
        folder = "cf-invalidate-x86_64-pc-windows-msvc"
        with ZipFile(self.out / f"{folder}.zip") as archive:
            files = sorted(f"{folder}/{file}" for file in ["cf-invalidate.exe", *NOTICES, *MANUAL])
            self.assertEqual(files, archive.namelist())
            self.assertEqual(PROGRAM, archive.read(f"{folder}/cf-invalidate.exe"))

    def test_the_checksums_name_each_file(self) -> None:
        lines = (self.out / "SHA256SUMS").read_text().splitlines()
        files = sorted(path for path in self.out.iterdir() if path.name != "SHA256SUMS")
        self.assertEqual([f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in files], lines)

    def test_the_installers_have_the_version_and_the_checksums(self) -> None:
        for name in ("cf-invalidate.rb", "Dockerfile", "install.sh"):
            text = (self.out / name).read_text(encoding="utf-8")
            self.assertEqual([], re.findall(r"\{\{[\w.:-]*\}\}", text), name)
            self.assertIn(dist.PACKAGE["repository"], text)
        formula = (self.out / "cf-invalidate.rb").read_text(encoding="utf-8")
        for name in UNIX:
            self.assertIn(hashlib.sha256((self.out / name).read_bytes()).hexdigest(), formula)

    def test_the_same_binaries_make_the_same_archives(self) -> None:
        with tempfile.TemporaryDirectory() as out:
            run(self.audit, "function", "--architecture", "arm64", "--binary", self.binary, "--out", out)
            self.assertEqual(2, len(list(Path(out).iterdir())))
            for path in Path(out).iterdir():
                self.assertEqual((self.out / path.name).read_bytes(), path.read_bytes(), path.name)

    def test_the_release_notes_are_the_section_of_the_version(self) -> None:
        text = "# Changelog\n\n## [Unreleased]\n\n- later\n\n## [1.2.3] - 2026-01-31\n\n### Added\n\n- this\n\n## [1.2.2]\n\n- before\n"
        self.assertEqual("### Added\n\n- this\n", dist.release_notes(text, "1.2.3"))
        self.assertEqual("- later\n", dist.release_notes(text, "1.3.0"))

    def read(self, archive: tarfile.TarFile, name: str) -> bytes:
        file = archive.extractfile(name)
        self.assertIsNotNone(file, name)
        return file.read() if file else b""


if __name__ == "__main__":
    unittest.main()
