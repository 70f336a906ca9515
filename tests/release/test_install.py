"""Runs .github/release/install.sh against a local server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from releases import (
    ARCHIVE,
    INSTALLER,
    MANIFEST,
    TARGET,
    Releases,
    archive,
    link_programs,
    listing,
    run,
    script,
    write_program,
)


class InstallTest(unittest.TestCase):
    def setUp(self) -> None:
        self.releases = Releases()
        self.addCleanup(self.releases.stop)
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name).resolve()
        self.home = self.directory / "home"
        self.programs = self.directory / "programs"
        self.temporary = self.directory / "temporary"
        for path in (self.home, self.temporary):
            path.mkdir()
        link_programs(self.programs, "curl", "sha256sum")

    def environment(self) -> dict[str, str]:
        return {
            "PATH": str(self.programs),
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "CF_INVALIDATE_RELEASES_URL": self.releases.url,
        }

    def install(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        result = run(["sh", str(INSTALLER), *arguments], self.environment() | variables, self.directory)
        self.assertEqual(listing(self.temporary), [], "the installer leaves temporary files")
        return result

    def assert_installed(self, result: subprocess.CompletedProcess[str], version: str, directory: Path) -> None:
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertTrue(result.stdout.startswith(f"installed cf-invalidate {version} in {directory}\n"), result.stdout)
        self.assertEqual(listing(directory), ["cf-invalidate"])
        output = subprocess.run([directory / "cf-invalidate", "--version"], capture_output=True, text=True, check=True)
        self.assertEqual(output.stdout, f"cf-invalidate {version}\n")

    def assert_fails(self, result: subprocess.CompletedProcess[str], message: str) -> None:
        """Requires the whole message, after what the program that downloads prints, and that nothing was installed."""
        self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
        self.assertEqual(result.stderr.splitlines()[-1], f"install.sh: {message}")
        self.assertEqual(listing(self.home), [])

    def test_installs_the_latest_version_into_the_home_directory(self) -> None:
        self.releases.add("1.2.3")
        result = self.install()
        self.assert_installed(result, "1.2.3", self.home / ".local/bin")
        advice = f'add it to PATH: export PATH="{self.home}/.local/bin:$PATH"'
        self.assertEqual(result.stdout.splitlines()[1:], [advice])
        self.assertEqual(self.releases.requests, ["latest/download/SHA256SUMS", f"latest/download/{ARCHIVE}"])

    def test_installs_a_version_into_a_directory(self) -> None:
        self.releases.add("1.2.3")
        self.releases.add("1.3.0")
        for version in ("1.2.3", "v1.2.3"):
            result = self.install("--version", version, "--to", "some where/bin")
            self.assert_installed(result, "1.2.3", self.directory / "some where/bin")
        self.assertEqual(listing(self.home), [])

    def test_replaces_an_older_version(self) -> None:
        self.releases.add("1.2.3")
        target = self.directory / "bin"
        target.mkdir()
        (target / "cf-invalidate").write_text("old")
        self.assert_installed(self.install("--to", str(target)), "1.2.3", target)

    def test_says_which_program_of_path_precedes_the_installed_one(self) -> None:
        self.releases.add("1.2.3")
        write_program(self.programs / "cf-invalidate", "echo 'cf-invalidate 1.0.0'")
        target = self.directory / "bin"
        result = self.install("--to", str(target), PATH=f"{self.programs}:{target}")
        advice = f"PATH has another one first: {self.programs}/cf-invalidate"
        self.assertEqual(result.stdout.splitlines()[1:], [advice])
        result = self.install("--to", str(target), PATH=f"{target}:{self.programs}")
        self.assertEqual(result.stdout.splitlines()[1:], [])

    def test_verifies_the_checksum_with_each_program(self) -> None:
        self.releases.add("1.2.3")
        for program in ("sha256sum", "shasum", "openssl"):
            with self.subTest(program):
                programs = self.directory / program / "programs"
                # shasum is a script of Perl.
                link_programs(programs, "curl", program, *(["env", "perl"] if program == "shasum" else []))
                target = self.directory / program / "bin"
                self.assert_installed(self.install("--to", str(target), PATH=str(programs)), "1.2.3", target)
                name = f"latest/download/{ARCHIVE}"
                original, self.releases.files[name] = self.releases.files[name], archive(script("6.6.6"))
                result = self.install(PATH=str(programs))
                self.releases.files[name] = original
                message = r"^install.sh: the checksum of \S+ is [0-9a-f]{64} instead of [0-9a-f]{64}: nothing was"
                self.assertRegex(result.stderr, message)
                self.assertEqual((result.returncode, listing(self.home)), (1, []))

    def test_does_not_install_without_a_program_for_checksums(self) -> None:
        self.releases.add("1.2.3")
        (self.programs / "sha256sum").unlink()
        message = "sha256sum, shasum and openssl are missing: install one of them, so that the download can be verified"
        self.assert_fails(self.install(), message)
        self.assertEqual(self.releases.requests, [])

    def test_does_not_install_what_is_not_in_the_checksums(self) -> None:
        self.releases.add("1.2.3")
        self.releases.files["latest/download/SHA256SUMS"] = b"0000  other.tar.gz\n"
        message = f"{self.releases.url}/latest/download/SHA256SUMS has no checksum of {ARCHIVE}: nothing was installed"
        self.assert_fails(self.install(), message)

    def test_keeps_the_old_version_if_the_checksum_is_wrong(self) -> None:
        self.releases.add("1.2.3")
        self.releases.files[f"latest/download/{ARCHIVE}"] += b"\0"
        target = self.directory / "bin"
        target.mkdir()
        (target / "cf-invalidate").write_text("old")
        self.assertEqual(self.install("--to", str(target)).returncode, 1)
        self.assertEqual(listing(target), ["cf-invalidate"])
        self.assertEqual((target / "cf-invalidate").read_text(), "old")

    def test_reports_a_missing_release_and_a_missing_archive(self) -> None:
        message = f"cannot download {self.releases.url}/download/v9.9.9/SHA256SUMS: is there a release 9.9.9?"
        self.assert_fails(self.install("--version", "9.9.9"), message)
        message = f"cannot download {self.releases.url}/latest/download/SHA256SUMS: is there a release?"
        self.assert_fails(self.install(), message)
        self.releases.add("1.2.3")
        del self.releases.files[f"latest/download/{ARCHIVE}"]
        self.assert_fails(self.install(), f"cannot download {self.releases.url}/latest/download/{ARCHIVE}")

    def test_repeats_a_download_that_failed(self) -> None:
        self.releases.add("1.2.3")
        self.releases.failures = 1
        result = self.install()
        self.assertEqual((result.returncode, listing(self.home / ".local/bin")), (0, ["cf-invalidate"]), result.stderr)
        self.assertEqual(self.releases.requests, [*["latest/download/SHA256SUMS"] * 2, f"latest/download/{ARCHIVE}"])

    def test_downloads_with_wget(self) -> None:
        self.releases.add("1.2.3")
        (self.programs / "curl").unlink()
        message = "curl and GNU wget are missing: install one of them"
        self.assert_fails(self.install(), message)
        # That of BusyBox.
        write_program(self.programs / "wget", "echo 'wget: unrecognized option: version' >&2; exit 1")
        self.assert_fails(self.install(), message)
        (self.programs / "wget").unlink()
        link_programs(self.programs, "wget")
        self.assert_fails(
            self.install("--version", "9.9.9"),
            f"cannot download {self.releases.url}/download/v9.9.9/SHA256SUMS: is there a release 9.9.9?",
        )
        result = self.install()
        self.assertEqual((result.returncode, listing(self.home / ".local/bin")), (0, ["cf-invalidate"]), result.stderr)

    def test_refuses_plain_http(self) -> None:
        for url in ("http://mirror.example.com/releases", "file:///releases", "ftp://127.0.0.1"):
            message = f"CF_INVALIDATE_RELEASES_URL is {url}: it must start with https://"
            self.assert_fails(self.install(CF_INVALIDATE_RELEASES_URL=url), message)
        # The host of a URL begins after its last @.
        port = self.releases.url.rsplit(":", 1)[1]
        message = "CF_INVALIDATE_RELEASES_URL has another host than 127.0.0.1: it must start with https://"
        self.assert_fails(self.install(CF_INVALIDATE_RELEASES_URL=f"http://127.0.0.1:x@localhost:{port}"), message)

    def test_does_not_install_a_binary_that_does_not_run(self) -> None:
        self.releases.add("1.2.3", b"\x7fELF of another system")
        result = self.install("--to", "bin")
        message = "does not run: Linux needs glibc 2.17 or newer, and TMPDIR a directory where programs can run\n"
        self.assertRegex(
            result.stderr, rf"\ninstall.sh: {self.temporary}/\S+/cf-invalidate-{TARGET}/cf-invalidate {message}$"
        )
        self.assertEqual((result.returncode, result.stdout, (self.directory / "bin").exists()), (1, "", False))

    def test_does_not_install_another_version(self) -> None:
        self.releases.add("1.2.3", script("1.2.30"))
        url = f"{self.releases.url}/download/v1.2.3/{ARCHIVE}"
        message = f"{url} contains cf-invalidate 1.2.30 instead of version 1.2.3: nothing was installed"
        self.assert_fails(self.install("--version", "1.2.3", "--to", "bin"), message)
        self.assertFalse((self.directory / "bin").exists())

    def test_leaves_nothing_behind_if_the_binary_cannot_be_copied(self) -> None:
        self.releases.add("1.2.3")
        target = self.directory / "bin"
        target.mkdir()
        write_program(self.programs / "cp", "echo 'cp: no space left on device' >&2; exit 1")
        result = self.install("--to", "bin")
        self.assertEqual((result.returncode, result.stderr), (1, "cp: no space left on device\n"))
        self.assertEqual(listing(target), [])

    def test_leaves_nothing_behind_if_it_is_stopped(self) -> None:
        self.releases.add("1.2.3")
        for name in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(name):
                self.releases.hold(f"latest/download/{ARCHIVE}")
                process = subprocess.Popen(
                    ["sh", str(INSTALLER)],
                    env=self.environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                self.assertTrue(self.releases.held.wait(60))
                # As a terminal does, to the script and to curl.
                os.killpg(process.pid, name)
                process.communicate(timeout=60)
                self.releases.release()
                self.assertEqual(
                    (process.returncode, listing(self.temporary), listing(self.home)), (128 + name, [], [])
                )

    def test_accepts_a_version_with_commit_and_date(self) -> None:
        self.releases.add("1.2.3", script("1.2.3 (abcdef0 2026-11-22)"))
        target = self.directory / "bin"
        self.assert_installed(
            self.install("--version", "1.2.3", "--to", str(target)), "1.2.3 (abcdef0 2026-11-22)", target
        )

    def test_does_not_replace_a_directory(self) -> None:
        self.releases.add("1.2.3")
        target = self.directory / "bin"
        (target / "cf-invalidate").mkdir(parents=True)
        message = f"{target}/cf-invalidate is a directory: choose another one with --to"
        self.assert_fails(self.install("--to", str(target)), message)
        self.assertEqual(listing(target), ["cf-invalidate"])

    def test_chooses_the_archive_of_the_system_and_the_processor(self) -> None:
        for system, processor, target in (
            ("Linux", "x86_64", "x86_64-unknown-linux-gnu"),
            ("Linux", "aarch64", "aarch64-unknown-linux-gnu"),
            ("Darwin", "x86_64", "x86_64-apple-darwin"),
            ("Darwin", "arm64", "aarch64-apple-darwin"),
        ):
            with self.subTest(target):
                self.releases.add("1.2.3", target=target)
                write_program(self.programs / "uname", f"[ $1 = -s ] && echo {system} || echo {processor}")
                installed = self.directory / target
                self.assert_installed(self.install("--to", str(installed)), "1.2.3", installed)
                self.assertEqual(self.releases.requests[-1], f"latest/download/cf-invalidate-{target}.tar.gz")

    def test_explains_what_to_do_on_other_systems(self) -> None:
        source = f"build it from source: {MANIFEST['repository']}/blob/main/docs/install.md#from-source"
        windows = f"{self.releases.url}/latest/download/cf-invalidate-x86_64-pc-windows-msvc.zip"
        for system, processor, message in (
            ("Linux", "i686", f"there is no binary for the processor i686: {source}"),
            ("Linux", "armv7l", f"there is no binary for the processor armv7l: {source}"),
            ("FreeBSD", "amd64", f"there is no binary for FreeBSD: {source}"),
            ("MINGW64_NT-10.0-26100", "x86_64", f"this script does not install on Windows: unpack {windows}"),
        ):
            with self.subTest(message):
                write_program(self.programs / "uname", f"[ $1 = -s ] && echo {system} || echo {processor}")
                self.assert_fails(self.install(), message)
        write_program(self.programs / "uname", "[ $1 = -s ] && echo Linux || echo x86_64")
        write_program(self.programs / "getconf", "[ $1 = LONG_BIT ] && echo 32")
        self.assert_fails(self.install(), f"there is no binary for 32-bit systems: {source}")
        write_program(self.programs / "getconf", "echo 64")
        write_program(self.programs / "ldd", "echo 'musl libc (x86_64)' >&2; exit 1")
        message = f"the binary needs glibc, and this system has musl: use a system with glibc, or {source}"
        self.assert_fails(self.install(), message)
        self.assertEqual(self.releases.requests, [])

    def test_refuses_arguments_that_it_does_not_know(self) -> None:
        for arguments, message in (
            (["--force"], "unknown argument --force: see --help"),
            (["1.2.3"], "unknown argument 1.2.3: see --help"),
            (["--to"], "--to needs a value"),
            (["--to", ""], "--to needs a value"),
            (["--version", ""], "--version needs a value"),
            (["--version", "v"], "--version needs a value after v"),
            (["--version", "../1"], "../1 is not a version: write it as 1.2.3"),
        ):
            with self.subTest(arguments):
                self.assert_fails(self.install(*arguments), message)
        self.assert_fails(self.install(HOME=""), "HOME is not set: name the directory with --to")
        self.assertEqual(self.releases.requests, [])

    def test_help_lists_each_option(self) -> None:
        result = self.install("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        [accepted] = re.findall(r"case \$1 in\n(.*?)\n +esac", INSTALLER.read_text(), re.DOTALL)
        labels = re.findall(r"^ {12}(--[^)]*)\)", accepted, re.MULTILINE)
        options = {option for label in labels for option in label.split(" | ")}
        self.assertEqual(set(re.findall(r"^  (--\w+)", result.stdout, re.MULTILINE)), options)

    def test_a_download_that_was_cut_off_runs_nothing(self) -> None:
        text = INSTALLER.read_text()
        end = text.rindex('main "$@"')
        for part in (text[:end], text[: end // 2]):
            environment = {"PATH": str(self.programs), "HOME": str(self.home)}
            result = subprocess.run(
                ["sh"], input=part, env=environment, capture_output=True, text=True, check=False, timeout=60
            )
            self.assertEqual((result.stdout, listing(self.home)), ("", []))

    def test_names_the_repository_of_the_manifest(self) -> None:
        self.assertIn(f"repository={MANIFEST['repository']}\n", INSTALLER.read_text())


if __name__ == "__main__":
    unittest.main()
