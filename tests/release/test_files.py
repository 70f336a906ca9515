"""Compares the files that name a release with each other: names of archives, versions, URLs and inputs."""

from __future__ import annotations

import re
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

import yaml
from releases import MANIFEST, PROJECT, VERSION, Releases, link_programs, listing, run, write_program

RELEASE = PROJECT / ".github/release"
REPOSITORY = MANIFEST["repository"]
ACTION = yaml.safe_load((PROJECT / "action.yml").read_text(encoding="utf-8"))
WORKFLOW = yaml.safe_load((PROJECT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
COMMIT = "0123456789abcdef" * 2 + "01234567"
DOCUMENTS = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]
UNTRACKED = {"cdk.out", "invalidator", "node_modules"}  # of examples/cdk, as in .gitignore
EXAMPLES = [path for path in sorted((PROJECT / "examples").rglob("*")) if path.is_file() and not UNTRACKED & {*path.parts}]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def targets() -> list[str]:
    """Returns the targets for which the workflow builds the command line."""
    builds = [build["arguments"].split() for build in WORKFLOW["jobs"]["build"]["strategy"]["matrix"]["include"]]
    return [target for command, _, target in builds if command == "cli"]


def asset(target: str) -> str:
    """Returns the name of the archive of a target."""
    return f"cf-invalidate-{target}.{'zip' if 'windows' in target else 'tar.gz'}"


def script_of(job: str, name: str) -> str:
    """Returns the script of a step of the workflow."""
    [script] = [step["run"] for step in WORKFLOW["jobs"][job]["steps"] if step.get("name") == name]
    return str(script)


class BinstallTest(unittest.TestCase):
    """https://github.com/cargo-bins/cargo-binstall/blob/main/SUPPORT.md"""

    def test_downloads_the_archive_of_each_target(self) -> None:
        metadata: dict[str, Any] = MANIFEST["metadata"]["binstall"]
        overrides = metadata["overrides"]
        self.assertLessEqual(set(overrides), set(targets()))
        for target in targets():
            with self.subTest(target):
                settings = metadata | overrides.get(target, {})
                windows = "windows" in target
                variables = {
                    "repo": REPOSITORY,
                    "version": VERSION,
                    "target": target,
                    "bin": "cf-invalidate",
                    "binary-ext": ".exe" if windows else "",
                }

                def expand(template: str, variables: dict[str, str] = variables) -> str:
                    return re.sub(r"\{ ([a-z-]+) }", lambda match: variables[match[1]], template)

                url = f"{REPOSITORY}/releases/download/v{VERSION}/{asset(target)}"
                self.assertEqual(expand(settings["pkg-url"]), url)
                self.assertEqual(settings["pkg-fmt"], "zip" if windows else "tgz")
                program = f"cf-invalidate-{target}/cf-invalidate{'.exe' if windows else ''}"
                self.assertEqual(expand(settings["bin-dir"]), program)

    def test_installs_no_other_binary(self) -> None:
        self.assertEqual(MANIFEST["metadata"]["binstall"]["disabled-strategies"], ["quick-install", "compile"])
        # The archives lack the function, which is not optional.
        command = f"cargo binstall {MANIFEST['name']} --bin cf-invalidate \\\n  --git {REPOSITORY}\n"
        self.assertIn(command, text_of(PROJECT / "docs/install.md"))


class TemplateTest(unittest.TestCase):
    """The formula of Homebrew and the Dockerfile."""

    def filled(self, name: str) -> str:
        """Fills a template with a checksum for each archive; another placeholder is an error."""
        values = {"version": "1.2.3", "repository": REPOSITORY}
        values |= {f"sha256:{asset(target)}": f"checksum-of-{asset(target)}" for target in targets()}
        return re.sub(r"\{\{(.*?)}}", lambda match: values[match[1]], text_of(RELEASE / name))

    def test_the_formula_has_the_url_and_the_checksum_of_each_target_of_homebrew(self) -> None:
        pairs = re.findall(r'^ +url "(.*)"\n +sha256 "(.*)"$', self.filled("cf-invalidate.rb"), re.MULTILINE)
        expected = [asset(target) for target in targets() if "windows" not in target]
        self.assertEqual(
            sorted(pairs),
            sorted((f"{REPOSITORY}/releases/download/v1.2.3/{name}", f"checksum-of-{name}") for name in expected),
        )

    def test_the_formula_selects_the_archive_of_the_system(self) -> None:
        found = {}
        system = processor = ""
        for line in self.filled("cf-invalidate.rb").splitlines():
            if match := re.match(r" +on_(\w+) do", line):
                system, processor = (match[1], "") if match[1] in ("macos", "linux") else (system, match[1])
            elif match := re.match(r' +url ".*/(.*)"', line):
                found[system, processor] = match[1]
        self.assertEqual(
            found,
            {
                ("macos", "arm"): "cf-invalidate-aarch64-apple-darwin.tar.gz",
                ("macos", "intel"): "cf-invalidate-x86_64-apple-darwin.tar.gz",
                ("linux", "arm"): "cf-invalidate-aarch64-unknown-linux-gnu.tar.gz",
                ("linux", "intel"): "cf-invalidate-x86_64-unknown-linux-gnu.tar.gz",
            },
        )

    def test_the_image_has_the_archive_of_its_platform(self) -> None:
        stages = re.findall(r"^FROM base AS (\w+)\nADD --checksum=sha256:(.*?) (\S+) ", self.filled("Dockerfile"), re.M)
        names = {
            "amd64": "cf-invalidate-x86_64-unknown-linux-gnu.tar.gz",
            "arm64": "cf-invalidate-aarch64-unknown-linux-gnu.tar.gz",
        }
        expected = [
            (stage, f"checksum-of-{name}", f"{REPOSITORY}/releases/download/v1.2.3/{name}")
            for stage, name in names.items()
        ]
        self.assertEqual(stages, expected)


class WorkflowTest(unittest.TestCase):
    """Runs scripts of release.yml as a runner does."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name).resolve()

    def run_script(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.directory}/programs:/usr/local/bin:/usr/bin:/bin",
            "GITHUB_REF_NAME": f"v{VERSION}",
            "GITHUB_REPOSITORY": REPOSITORY.removeprefix("https://github.com/"),
            "GITHUB_SERVER_URL": "https://github.com",
        }
        return run(["bash", "-e", "-c", script], environment | variables, self.directory)

    def test_the_tag_must_be_the_version_with_a_section_of_the_changelog_in_the_repository(self) -> None:
        script = script_of("check", "Compare the tag with the sources")
        (self.directory / "Cargo.toml").write_text(text_of(PROJECT / "Cargo.toml"))
        changelog = self.directory / "CHANGELOG.md"
        changelog.write_text(f"# Changelog\n\n## [Unreleased]\n\n## [{VERSION}] - 2026-11-22\n")
        result = self.run_script(script)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        for variables, message in (
            (
                {"GITHUB_REF_NAME": "v9.9.9"},
                f"the tag v9.9.9 is not the version {VERSION} of Cargo.toml: tag the commit that sets it",
            ),
            (
                {"GITHUB_REPOSITORY": "somebody/fork"},
                "Cargo.toml names another repository than somebody/fork: the URLs in the files would be wrong",
            ),
        ):
            result = self.run_script(script, **variables)
            self.assertEqual((result.returncode, result.stdout), (1, f"::error::{message}\n"))
        (self.directory / "Cargo.toml").write_text('version = "1.0.0-rc.1"\n')
        result = self.run_script(script, GITHUB_REF_NAME="v1.0.0-rc.1")
        message = "1.0.0-rc.1 is a pre-release, which the installers would take for the latest version: set another one"
        self.assertEqual((result.returncode, result.stdout), (1, f"::error::{message}\n"))
        (self.directory / "Cargo.toml").write_text(text_of(PROJECT / "Cargo.toml"))
        changelog.write_text("# Changelog\n\n## [Unreleased]\n")
        result = self.run_script(script)
        message = f"CHANGELOG.md has no section of {VERSION}: rename the section Unreleased, and tag that commit"
        self.assertEqual((result.returncode, result.stdout), (1, f"::error::{message}\n"))

    def test_a_second_run_updates_the_draft_and_never_a_published_release(self) -> None:
        script = script_of("draft", "Draft the release")
        (self.directory / "target/dist").mkdir(parents=True)
        for name in ("SHA256SUMS", "install.sh"):
            (self.directory / "target/dist" / name).write_text("")
        tag = f"v{VERSION}"
        details = f"{tag} --draft --verify-tag --title {tag} (incomplete) --notes-file target/release-notes.md"
        upload = f"release upload {tag} target/dist/SHA256SUMS target/dist/install.sh --clobber"
        complete = f"release edit {tag} --title {tag}"
        for state, first in (("", "create"), ("true", "edit"), ("false", None)):
            with self.subTest(state):
                calls = self.call_github(state)
                result = self.run_script(script, GITHUB_SHA=COMMIT)
                expected = [f"release {first} {details}", upload, complete] if first else []
                self.assertEqual(calls.read_text().splitlines(), expected)
                self.assertEqual(result.returncode, 0 if first else 1)
        self.assertEqual(
            result.stdout, f"::error::the release {tag} is published already: set a new version, and tag that commit\n"
        )
        # The tag was moved after this run has begun.
        calls = self.call_github("")
        result = self.run_script(script, GITHUB_SHA="1" * 40)
        self.assertEqual((result.returncode, calls.read_text()), (1, ""))
        message = f"the tag {tag} is at {COMMIT} now, and this run has built {'1' * 40}"
        self.assertEqual(result.stdout, f"::error::{message}\n")

    def call_github(self, state: str) -> Path:
        """Replaces gh; `state` is that of the release. Returns the file of the calls that change something."""
        calls = self.directory / "calls"
        calls.write_text("")
        lists = f"'release list '*) echo '{state}' ;; 'api '*) echo {COMMIT} ;;"
        write_program(self.directory / "programs/gh", f"case $* in {lists} *) echo \"$*\" >>'{calls}' ;; esac")
        return calls

    def test_nothing_is_drafted_if_the_releases_cannot_be_listed(self) -> None:
        write_program(self.directory / "programs/gh", 'echo "$*" >>calls\nexit 1')
        self.assertEqual(self.run_script(script_of("draft", "Draft the release"), GITHUB_SHA=COMMIT).returncode, 1)
        self.assertEqual(len((self.directory / "calls").read_text().splitlines()), 1)


class DocumentTest(unittest.TestCase):
    def test_the_documentation_lists_the_inputs_of_the_action(self) -> None:
        section = text_of(PROJECT / "docs/install.md").split("\n## GitHub Actions\n")[1].split("\n## ")[0]
        rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.*?) \|", section, re.MULTILINE)
        expected = []
        for name, definition in ACTION["inputs"].items():
            default = f"`{definition['default']}`" if definition.get("default") else ""
            expected.append((name, "required" if definition.get("required") else default))
        self.assertEqual([(name, default.strip()) for name, default in rows], expected)

    def test_all_urls_name_the_repository_of_the_manifest(self) -> None:
        files = [*DOCUMENTS, *EXAMPLES, *sorted(RELEASE.iterdir()), PROJECT / "action.yml"]
        found = set()
        for file in files:
            urls = re.findall(r"https://github\.com/[\w.-]+/cloudfront-invalidator\b", text_of(file))
            found |= {(file.name, url) for url in urls if url != REPOSITORY}
        self.assertEqual(found, set())

    def test_examples_have_the_version_and_the_inputs_of_the_action(self) -> None:
        action = REPOSITORY.removeprefix("https://github.com/")
        uses = []
        for file in [*DOCUMENTS, *EXAMPLES]:
            text = text_of(file)
            uses += re.findall(rf"uses: {action}@(\S+)", text)
            uses += [f"v{version}" for version in re.findall(r"CF_INVALIDATE_VERSION: (\S+)", text)]
            uses += re.findall(r"\bdownload/(v\d[\w.]*\w)", text)
        self.assertGreater(len(uses), 2)
        self.assertEqual(set(uses), {f"v{VERSION}"})
        workflow = yaml.safe_load(text_of(PROJECT / "examples/github-actions.yml"))
        steps = [step for step in workflow["jobs"]["deploy"]["steps"] if step.get("uses", "").startswith(f"{action}@")]
        self.assertEqual(len(steps), 2)
        for step in steps:
            self.assertLessEqual(set(step["with"]), set(ACTION["inputs"]))

    def test_the_buildspec_installs_its_version(self) -> None:
        buildspec = yaml.safe_load(text_of(PROJECT / "examples/buildspec.yml"))
        releases = Releases()
        self.addCleanup(releases.stop)
        releases.add(VERSION)
        releases.files[f"download/v{VERSION}/install.sh"] = (RELEASE / "install.sh").read_bytes()
        with tempfile.TemporaryDirectory() as temporary:
            directory = Path(temporary).resolve()
            link_programs(directory / "programs", "curl", "sha256sum")
            for command in buildspec["phases"]["install"]["commands"]:
                subprocess.run(
                    ["/bin/sh", "-c", command.replace("/usr/local/bin", f"{directory}/bin")],
                    env={
                        "PATH": f"{directory}/programs",
                        "HOME": temporary,
                        **buildspec["env"]["variables"],
                        "CF_INVALIDATE_RELEASES_URL": releases.url,
                    },
                    cwd=directory,
                    check=True,
                    capture_output=True,
                    timeout=60,
                )
            self.assertEqual(listing(directory / "bin"), ["cf-invalidate"])
        url = buildspec["env"]["variables"]["CF_INVALIDATE_RELEASES_URL"]
        self.assertEqual(url, f"{REPOSITORY}/releases")


if __name__ == "__main__":
    unittest.main()
