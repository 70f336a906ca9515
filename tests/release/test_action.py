"""Runs the steps of action.yml as a runner of GitHub does, with the built command line and a stand-in of CloudFront.

https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax#runs-for-composite-actions
"""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import tempfile
import threading
import unittest
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from releases import ARCHIVE, BUILT, PROJECT, VERSION, Releases, archive, listing

ACTION = yaml.safe_load((PROJECT / "action.yml").read_text(encoding="utf-8"))
DISTRIBUTION = "E2EXAMPLE1ABCD"
CONFIGURATION = (PROJECT / "tests/distributions/legacy.xml").read_bytes()
SYNC = "upload: public/index.html to s3://site/index.html\ndelete: s3://site/blog/old.html\n"


class Upstream(http.server.BaseHTTPRequestHandler):
    """Provides what the stand-in lacks: a distribution."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("ETag", "E1")
        self.end_headers()
        if self.path.endswith("/config"):
            self.wfile.write(CONFIGURATION)

    do_POST = do_GET

    def log_message(self, *_arguments: object) -> None:
        pass


class ActionTest(unittest.TestCase):
    releases: Releases
    standin: str

    @classmethod
    def setUpClass(cls) -> None:
        cls.releases = Releases()
        cls.addClassCleanup(cls.releases.stop)
        # The program itself has more than a hundred megabytes in the debug profile, so one test only installs it.
        cls.releases.add(VERSION, f"#!/bin/sh\nexec '{BUILT}/cf-invalidate' \"$@\"\n".encode())
        upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
        cls.addClassCleanup(upstream.server_close)
        thread = threading.Thread(target=upstream.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        cls.addClassCleanup(thread.join)
        cls.addClassCleanup(upstream.shutdown)
        command = [str(BUILT / "examples/standin"), "--upstream", f"http://127.0.0.1:{upstream.server_port}"]
        standin = subprocess.Popen(
            [*command, "--completes-after", "3600"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        # It closes the standard input, at whose end the stand-in ends.
        cls.addClassCleanup(standin.communicate)
        assert standin.stdout
        cls.standin = standin.stdout.readline().removeprefix("listening on ").strip()

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name).resolve()
        self.workspace = self.directory / "workspace"
        # Unchanged files, so that a wildcard over all files is avoided.
        for file in ("index.html", "blog/other.html", "assets/app.min.js"):
            (self.workspace / "public" / file).parent.mkdir(parents=True, exist_ok=True)
            (self.workspace / "public" / file).write_text("")
        (self.workspace / "changes.txt").write_text(SYNC)
        self.runner = self.directory / "runner"
        self.runner.mkdir()
        self.call_standin("reset")
        self.system = "Linux"
        self.variables: dict[str, str] = {}

    def call_standin(self, path: str) -> Any:
        data = b"{}" if path == "reset" else None
        with urllib.request.urlopen(f"{self.standin}/_standin/{path}", data, timeout=10) as response:
            return json.loads(response.read())

    def accepted(self) -> list[tuple[str, list[str]]]:
        """Returns the distribution and the paths of each invalidation."""
        received = self.call_standin("invalidations")
        return [(request["distribution"], sorted(request["paths"])) for request in received]

    def run_action(self, **inputs: str) -> tuple[int, str]:
        """Runs the steps until one fails. Returns its exit code, or 0, and what all of them printed."""
        values = {name: definition.get("default", "") for name, definition in ACTION["inputs"].items()}
        values |= {name.replace("_", "-"): value for name, value in inputs.items()}
        path_file = self.directory / "path"
        path_file.write_text("")
        output = ""
        for step in ACTION["runs"]["steps"]:
            self.assertEqual(step["shell"], "bash")
            self.assertNotIn("${{", step["run"], "the runner would insert the text of an input into the script")
            # Each line of the file precedes the lines above it in PATH.
            added = reversed(path_file.read_text().splitlines())
            environment = {
                "PATH": ":".join([*added, os.defpath, "/usr/local/bin", "/usr/bin", "/bin"]),
                "HOME": str(self.directory),
                "GITHUB_ACTION_PATH": str(PROJECT),
                "GITHUB_PATH": str(path_file),
                "RUNNER_OS": self.system,
                "RUNNER_TEMP": str(self.runner),
                "TMPDIR": str(self.directory),
                "CF_INVALIDATE_RELEASES_URL": self.releases.url,
                "AWS_ENDPOINT_URL_CLOUDFRONT": self.standin,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_REGION": "us-east-1",
            }
            for name, expression in step.get("env", {}).items():
                [key] = re.findall(r"^\$\{\{ inputs\.([a-z0-9-]+) }}$", expression)
                environment[name] = values[key]
            script = self.directory / "step.sh"
            script.write_text(step["run"])
            result = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
                env=environment | self.variables,
                cwd=self.workspace,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=60,
            )
            output += result.stdout
            if result.returncode:
                return result.returncode, output
        return 0, output

    def assert_refused(self, message: str, **inputs: str) -> None:
        """Requires that the first step ends with this message."""
        self.assertEqual(self.run_action(**inputs), (1, f"::error::{message}\n"))
        self.assertEqual((self.accepted(), listing(self.runner)), ([], []))

    def test_invalidates_what_aws_s3_sync_changed(self) -> None:
        code, output = self.run_action(distribution=DISTRIBUTION, from_s3_sync="changes.txt", site="public")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.accepted(), [(DISTRIBUTION, ["/", "/blog/old.html", "/index.html"])])
        self.assertNotIn("::", output)

    def test_invalidates_paths(self) -> None:
        paths = "/index.html\n\n  /a b/*\n/$(touch injected)\n"
        code, output = self.run_action(distribution=DISTRIBUTION, paths=paths, arguments="--reference\n  release-1\n")
        self.assertEqual(code, 0, output)
        expected = ["/$(touch*", "/a*", "/index.html"]
        self.assertEqual(self.accepted(), [(DISTRIBUTION, expected)])
        self.assertTrue(self.call_standin("invalidations")[0]["reference"].startswith("release-1"))
        self.assertEqual(sorted(path.name for path in self.workspace.iterdir()), ["changes.txt", "public"])

    def test_each_input_becomes_an_argument(self) -> None:
        files = self.releases.files
        self.addCleanup(setattr, self.releases, "files", files)
        self.releases.files = {}
        program = f"#!/bin/sh\n[ $1 = --version ] && echo cf-invalidate {VERSION} || printf '%s\\n' \"$@\" >calls\n"
        self.releases.add(VERSION, program.encode())
        further = {"wait": "90s", "retry": "1m", "arguments": "--max-paths=5\n\n--reference\n  a b\n"}
        command = ["create", "--yes", f"--distribution={DISTRIBUTION}", "--retry=1m", "--wait=90s"]
        arguments = ["--max-paths=5", "--reference", "a b", "--"]
        changes = ["--from-s3-sync=changes.txt", "--site=public"]
        for inputs, expected in (
            ({"from_s3_sync": "changes.txt", "site": "public"}, [*command, *changes, *arguments]),
            ({"paths": "/*\n--all"}, [*command, *arguments, "/*", "--all"]),
        ):
            code, output = self.run_action(distribution=DISTRIBUTION, **inputs, **further)
            self.assertEqual(code, 0, output)
            self.assertEqual((self.workspace / "calls").read_text().splitlines(), expected)

    def test_arguments_are_passed_on(self) -> None:
        inputs = {"distribution": DISTRIBUTION, "from_s3_sync": "changes.txt"}
        code, output = self.run_action(**inputs, arguments="--dry-run\n--literal-keys")
        self.assertEqual((code, self.accepted()), (0, []), output)
        code, output = self.run_action(**inputs, arguments="--literal-keys")
        self.assertEqual((code, self.accepted()), (0, [(DISTRIBUTION, ["/blog/old.html", "/index.html"])]), output)

    def test_warns_if_the_invalidation_is_not_completed_in_time(self) -> None:
        code, output = self.run_action(distribution=DISTRIBUTION, paths="/*", wait="1s")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.accepted(), [(DISTRIBUTION, ["/*"])])
        warning = "::warning::the invalidation is submitted, but its completion is not confirmed"
        self.assertEqual(output.splitlines()[-1], warning)

    def test_fails_with_the_exit_code_of_the_command_line(self) -> None:
        code, output = self.run_action(distribution=DISTRIBUTION, paths="index.html")
        self.assertEqual((code, self.accepted()), (2, []), output)
        self.variables = {"AWS_ACCESS_KEY_ID": "", "AWS_EC2_METADATA_DISABLED": "true"}
        code, output = self.run_action(distribution=DISTRIBUTION, paths="/*")
        self.assertEqual((code, self.accepted()), (5, []), output)

    def test_installs_the_built_program_for_later_steps_too(self) -> None:
        files = self.releases.files
        self.addCleanup(setattr, self.releases, "files", files)
        self.releases.files = {}
        self.releases.add(VERSION, (BUILT / "cf-invalidate").read_bytes())
        code, output = self.run_action(distribution=DISTRIBUTION, paths="/*")
        self.assertEqual((code, self.accepted()), (0, [(DISTRIBUTION, ["/*"])]), output)
        added = (self.directory / "path").read_text()
        self.assertEqual(added, f"{self.runner}/cf-invalidate-bin\n")
        self.assertEqual(listing(self.runner), ["cf-invalidate-bin", "cf-invalidate-bin/cf-invalidate"])

    def test_installs_the_version_of_its_own_manifest(self) -> None:
        requests = len(self.releases.requests)
        self.run_action(distribution=DISTRIBUTION, paths="/*")
        folder = f"download/v{VERSION}"
        self.assertEqual(self.releases.requests[requests:], [f"{folder}/SHA256SUMS", f"{folder}/{ARCHIVE}"])

    def test_runs_nothing_if_the_checksum_is_wrong(self) -> None:
        name = f"download/v{VERSION}/{ARCHIVE}"
        original, self.releases.files[name] = self.releases.files[name], archive(b"#!/bin/sh\n")
        self.addCleanup(self.releases.files.__setitem__, name, original)
        code, output = self.run_action(distribution=DISTRIBUTION, paths="/*")
        self.assertEqual((code, self.accepted(), listing(self.runner)), (1, [], []), output)
        self.assertIn("install.sh: the checksum of ", output)
        self.assertEqual((self.directory / "path").read_text(), "")

    def test_refuses_inputs_that_are_empty_or_have_no_effect(self) -> None:
        named = {"distribution": DISTRIBUTION}
        changes = {"from_s3_sync": "changes.txt"}
        for inputs, message in (
            ({"paths": "/*"}, "the input distribution is empty: is the variable of its value set?"),
            (named, "the inputs from-s3-sync and paths are empty: one of them is required"),
            (named | {"paths": " \n"}, "the inputs from-s3-sync and paths are empty: one of them is required"),
            (
                named | changes | {"paths": "/*"},
                "the inputs from-s3-sync and paths exclude each other: use two steps",
            ),
            (named | {"from_s3_sync": "absent"}, "the file of the input from-s3-sync does not exist"),
            (named | changes | {"site": "absent"}, "the directory of the input site does not exist"),
            (named | {"paths": "/*", "site": "public"}, "the input site has no effect without from-s3-sync: remove it"),
            (named | changes | {"retry": ""}, "the input retry is empty: leave it out for 5m, or write 0s"),
        ):
            with self.subTest(inputs):
                self.assert_refused(message, **inputs)

    def test_refuses_windows(self) -> None:
        self.system = "Windows"
        self.assert_refused("this action needs a Linux or macOS runner", distribution=DISTRIBUTION, paths="/*")


if __name__ == "__main__":
    unittest.main()
