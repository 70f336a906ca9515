"""A local AWS with this project's stack, as a context manager.

It consists of two processes. MiniStack provides S3, Lambda, IAM, SQS, CloudFormation and CloudFront's control plane.
The stand-in (tests/standin) provides what MiniStack lacks: CodePipeline's two operations, CloudFront's rules and its
caching edge. The function and the command line call the stand-in for these, and the stand-in forwards each request to
CloudFront's API to MiniStack, which checks whether the function's role allows it. This process itself receives the
posts to Slack (scenarios/slack_hooks.py), and forwards and records the calls of the functions (scenarios/calls.py).
All files are in one temporary directory. Leaving the `with` block stops both processes, also after an error or Ctrl-C.

Nothing here connects to the Internet or reads the user's AWS settings: this process and its children get a new
environment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar
from zipfile import ZIP_DEFLATED, ZipFile

import boto3
from botocore.config import Config
from scenarios.calls import CallRecorder
from scenarios.slack_hooks import SlackHooks

PROJECT = Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / ".github/release"))

import templates  # noqa: E402

ARCHITECTURE = "x86_64"  # MiniStack runs the function on this machine, whatever the template names
BUILT = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target")).absolute() / "debug"
FUNCTION = BUILT / "cloudfront-invalidator"
STANDIN = BUILT / "examples" / "standin"
COMMAND_LINE = BUILT / "cf-invalidate"
RELEASED_STACK = "cloudfront-invalidator-stack-x86_64.zip"
RELEASED_COMMAND_LINE = "cf-invalidate-x86_64-unknown-linux-gnu"

REGION = "us-east-1"
START_TIMEOUT = 30.0  # seconds; MiniStack takes less than one on an idle machine
UPDATE_TIMEOUT = 20.0  # seconds; MiniStack creates or updates a stack in well under one
STOP_TIMEOUT = 5.0  # seconds between SIGTERM and SIGKILL
POLL_INTERVAL = 0.05  # seconds
COMPLETES_AFTER = 8  # seconds until an invalidation is completed: longer than one job polls, shorter than two

T = TypeVar("T")


class LocalAwsError(Exception):
    """The local AWS failed; the message contains the reason or the output."""


class Progress:
    """Prints what the program waits for: on a terminal with the elapsed seconds, elsewhere as plain lines."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Prints the title while the block runs, and then how long it took."""
        started = time.monotonic()
        done = threading.Event()
        counter = threading.Thread(target=self._count, args=(title, started, done), daemon=True)
        if self._terminal:
            counter.start()
        else:
            self._print(f"{title} ...\n")
        ending = "failed after"
        try:
            yield
            ending = "took"
        finally:
            done.set()
            if self._terminal:
                counter.join()
                self._print("\r\x1b[K")
            self._print(f"{title}: {ending} {time.monotonic() - started:.1f} s\n")

    def _count(self, title: str, started: float, done: threading.Event) -> None:
        while not done.wait(0.2):
            self._print(f"\r\x1b[K{title} ... {time.monotonic() - started:.0f} s")

    @staticmethod
    def _print(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def poll(probe: Callable[[], T | None], timeout: float) -> T | None:
    """Calls `probe` until it returns something true, at most for these seconds."""
    deadline = time.monotonic() + timeout
    while True:
        if result := probe():
            return result
        if time.monotonic() > deadline:
            return None
        time.sleep(POLL_INTERVAL)


class LocalAws:
    """The running local AWS: `endpoint` is MiniStack's URL, `standin` the stand-in's."""

    def __init__(self, venvs: Path, progress: Progress, release: Path | None = None) -> None:
        """With `release`, the directory of its archives, these are deployed and run instead of the debug build."""
        self._venvs = venvs.absolute()
        self._release = release.absolute() if release else None
        self._command_line = COMMAND_LINE
        self._progress = progress
        self._cleanup = ExitStack()
        self.slack_hooks = SlackHooks()
        ministack_port, standin_port = free_ports(2)
        # Each process needs the other's URL when it starts, so the ports are chosen first.
        self.endpoint = f"http://127.0.0.1:{ministack_port}"
        self.standin = f"http://127.0.0.1:{standin_port}"
        self.calls = CallRecorder(self.endpoint, self.standin)

    def __enter__(self) -> LocalAws:
        for binary in (STANDIN,) if self._release else (FUNCTION, STANDIN, COMMAND_LINE):
            if not binary.exists():
                raise LocalAwsError(f"{binary} is not built: run `make demo`, or `cargo build --bins --examples` first")
        try:
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        with self._progress.step("stopping the local AWS"):
            self._cleanup.close()

    def client(self, service: str, **credentials: str) -> Any:
        """Creates a boto3 client of the local AWS, with the credentials of the account by default."""
        # Path style, because a host name that contains the bucket would not resolve here.
        config = Config(s3={"addressing_style": "path"})
        return boto3.client(service, endpoint_url=self.endpoint, config=config, **credentials)

    def deploy(self, stack: str, parameters: dict[str, str]) -> dict[str, str]:
        """Deploys template.yaml by `sam deploy` with the built function; returns the stack's outputs."""
        return self.sam_deploy(self.stack_folder("stack"), stack, ["--stack-name", stack], parameters)

    def stack_folder(self, name: str) -> Path:
        """Writes the files of the stack archive into a new folder, with the built function."""
        folder = self._directory / name
        if self._release:
            unpack(self._release / RELEASED_STACK, folder)
            return folder
        folder.mkdir()
        # In an archive, because `sam deploy` would compress a folder once for each function of the template.
        with ZipFile(folder / "function.zip", "w", ZIP_DEFLATED, compresslevel=1) as archive:
            archive.write(FUNCTION, "bootstrap")
        templates.write(ARCHITECTURE, folder)
        return folder

    def sam_deploy(
        self, directory: Path, stack: str, arguments: list[str], parameters: dict[str, str]
    ) -> dict[str, str]:
        """Runs `sam deploy` in a folder, which must create or update this stack; returns the stack's outputs."""
        command = ["sam", "deploy", *arguments, "--no-confirm-changeset", "--no-progressbar"]
        if parameters:
            command += ["--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]
        with self._progress.step("sam deploy"):
            result = subprocess.run(
                command,
                check=False,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        if result.returncode != 0:
            raise LocalAwsError(f"sam deploy exited with {result.returncode}:\n{result.stdout}")
        return outputs(self._stack(stack))

    def update(self, stack: str, parameters: dict[str, str]) -> dict[str, str]:
        """Updates the parameters of a deployed stack, much faster than `sam deploy`; returns its outputs."""
        self.client("cloudformation").update_stack(
            StackName=stack,
            UsePreviousTemplate=True,
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        return self.finished(stack, "UPDATE_COMPLETE")

    def deploy_example(
        self, template: Path, parameters: dict[str, str], replaced: dict[str, str] | None = None
    ) -> dict[str, str]:
        """Deploys a template of examples/, which needs no build, with texts replaced; returns the stack's outputs."""
        body = template.read_text(encoding="utf-8")
        for old, new in (replaced or {}).items():
            body = body.replace(old, new)
        self.client("cloudformation").create_stack(
            StackName=template.stem,
            TemplateBody=body,
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        return self.finished(template.stem, "CREATE_COMPLETE")

    def cf_invalidate(self, arguments: list[str], standard_input: str = "") -> subprocess.CompletedProcess[str]:
        """Runs the command line with credentials of the local account."""
        return subprocess.run(
            [str(self._command_line), *arguments],
            env=os.environ | self.command_line_settings(),
            cwd=self._directory,
            input=standard_input,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def command_line_settings(self) -> dict[str, str]:
        """Returns the variables with which the command line uses the local AWS."""
        return self._cloudfront_settings() | self._pop_settings() | {"HOME": str(self._directory)}

    def pops(self) -> dict[str, str]:
        """Returns the URL of each POP of the stand-in's edge."""
        log = (self._directory / "standin.log").read_text(encoding="utf-8")
        return dict(re.findall(r"^POP (\S+) listening on (\S+)$", log, re.MULTILINE))

    def call_standin(self, path: str, body: Any = None) -> Any:
        """Calls the stand-in's control API: POST with a body, GET without."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.standin + path, data, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read() or "null")

    def logs(self) -> str:
        """Returns the last lines that the two processes printed, which explain a failure."""
        return "\n".join(f"--- {log.name}\n{tail(log)}" for log in sorted(self._directory.glob("*.log")))

    def finished(self, stack: str, status: str) -> dict[str, str]:
        """Waits until a stack is created or updated; requires this status, and returns the stack's outputs."""

        def finished() -> dict[str, Any] | None:
            described = self._stack(stack)
            return None if described["StackStatus"].endswith("_IN_PROGRESS") else described

        described = poll(finished, UPDATE_TIMEOUT)
        if not described or described["StackStatus"] != status:
            raise LocalAwsError(f"stack {stack} is not {status}: {described or 'still in progress'}")
        return outputs(described)

    def _stack(self, name: str) -> dict[str, Any]:
        return self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]

    def _start(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="cloudfront-invalidator-")
        self._directory = Path(self._cleanup.enter_context(temporary))
        self._cleanup.enter_context(environment(self._local_settings()))
        if self._release:
            self._unpack_command_line(self._release)
        self._cleanup.enter_context(self.slack_hooks)
        self._cleanup.enter_context(self.calls)
        with self._progress.step("starting the local AWS"):
            ports = ["--port", port_of(self.standin), "--upstream", self.endpoint]
            standin = self._run("standin", [str(STANDIN), *ports, "--completes-after", str(COMPLETES_AFTER)])
            ministack = self._run("ministack", [str(self._venvs / "cloud/bin/ministack")], self._ministack_settings())
            self._wait_until_ready("the stand-in", standin, self.standin + "/_standin/invalidations")
            self._wait_until_ready("MiniStack", ministack, self.endpoint + "/_ministack/health")

    def _without_rust(self) -> Path:
        """Writes programs that take the place of Rust's and fail: nothing here may build anything."""
        folder = self._directory / "without-rust"
        folder.mkdir()
        for name in ("cargo", "rustc"):
            (folder / name).write_text(f"#!/bin/sh\necho '{name} must not be called here' >&2\nexit 1\n")
            (folder / name).chmod(0o755)
        return folder

    def _unpack_command_line(self, release: Path) -> None:
        unpack(release / f"{RELEASED_COMMAND_LINE}.tar.gz", self._directory / "command-line")
        self._command_line = self._directory / "command-line" / RELEASED_COMMAND_LINE / "cf-invalidate"

    def _local_settings(self) -> dict[str, str]:
        """Returns the environment of this process and its children, in which the local AWS is the only one."""
        folders = [self._venvs / "tools/bin", Path("/usr/local/bin"), Path("/usr/bin"), Path("/bin")]
        return {
            "PATH": os.pathsep.join(map(str, [self._without_rust(), *folders])),
            "HOME": str(self._directory),
            "TMPDIR": str(self._directory),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
        }

    def _ministack_settings(self) -> dict[str, str]:
        return {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": port_of(self.endpoint),
            "AUTH": "true",  # IAM policies are evaluated
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2",  # instead of a minute as in AWS
            "SFN_WAIT_SCALE": "0.05",  # a state machine that waits 20 seconds waits one
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent",
            # The function inherits these; MiniStack does not read the log level from the template.
            **self.calls.settings(),
            "EDGE_ENDPOINT_URL": self.standin,
            "SLACK_ENDPOINT_URL": self.slack_hooks.url,
            "AWS_LAMBDA_LOG_LEVEL": "DEBUG",
        }

    def _cloudfront_settings(self) -> dict[str, str]:
        """Returns the variables that replace CloudFront: its API, and its edge for `verify`."""
        return {"AWS_ENDPOINT_URL_CLOUDFRONT": self.standin, "EDGE_ENDPOINT_URL": self.standin}

    def _pop_settings(self) -> dict[str, str]:
        """Returns the variables that replace POPs, whose ports the stand-in prints when it starts."""
        return {f"EDGE_ENDPOINT_URL_{pop.replace('-', '_')}": url for pop, url in self.pops().items()}

    def _run(self, name: str, command: list[str], settings: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        log = self._cleanup.enter_context(open(self._directory / f"{name}.log", "wb"))
        process = subprocess.Popen(
            command,
            env=os.environ | (settings or {}),
            cwd=self._directory,
            stdin=subprocess.PIPE,  # the stand-in stops when the other end of this pipe closes
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only this process, which then stops the others and their children
        )
        self._cleanup.callback(stop, process)
        return process

    def _wait_until_ready(self, name: str, process: subprocess.Popen[bytes], url: str) -> None:
        def ready() -> bool:
            if process.poll() is not None:
                raise LocalAwsError(f"{name} exited with {process.returncode}:\n{self.logs()}")
            with suppress(OSError):
                urllib.request.urlopen(url, timeout=2).close()
                return True
            return False

        if not poll(ready, START_TIMEOUT):
            raise LocalAwsError(f"{name} does not respond at {url} after {START_TIMEOUT:.0f} s:\n{self.logs()}")


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    """Returns the outputs in the description of a stack."""
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def unpack(archive: Path, directory: Path) -> None:
    """Unpacks an archive of a release into a new directory."""
    if not archive.exists():
        raise LocalAwsError(f"{archive} is not built: run `make dist` first")
    shutil.unpack_archive(archive, directory)


@contextmanager
def environment(settings: dict[str, str]) -> Iterator[None]:
    """Replaces this process's environment, so that it contains no proxies, profiles or credentials of the user."""
    before = dict(os.environ)
    kept = {name: before[name] for name in ("LANG", "LC_ALL", "TERM") if name in before}
    try:
        os.environ.clear()
        os.environ.update(kept | settings)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stops a process that has its own session, and its remaining children."""
    if process.stdin:
        process.stdin.close()
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_ports(count: int) -> list[int]:
    """Returns different free ports."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for unbound in sockets:
            unbound.bind(("127.0.0.1", 0))
        return [bound.getsockname()[1] for bound in sockets]


def port_of(url: str) -> str:
    """Returns the port of a URL that ends with it."""
    return url.rpartition(":")[2]


def tail(log: Path, lines: int = 40) -> str:
    """Returns the last lines of a file."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def end_on_sigterm() -> None:
    """Makes SIGTERM leave the `with` blocks in order, as Ctrl-C does."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
