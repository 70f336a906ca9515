"""A local AWS with this project's stack in it, as a context manager.

Two processes make it up. MiniStack plays S3, Lambda, IAM, SQS, CloudFormation and CloudFront's control plane.
The stand-in (tests/standin) plays what MiniStack lacks: CodePipeline's two calls and CloudFront's rules. The
function reaches the stand-in for these two services, and the stand-in asks MiniStack whether the function's
role permits the call. Everything they write goes into one temporary directory, and leaving the `with` block
stops both, also after an error or Ctrl-C.

Nothing here reaches the Internet or reads a person's AWS settings: this process and its children get an
environment that is built from nothing.
"""

from __future__ import annotations

import json
import os
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

import boto3
from botocore.config import Config

PROJECT = Path(__file__).resolve().parents[2]
BUILT = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target")).absolute() / "debug"
FUNCTION = BUILT / "cloudfront-invalidator"
STANDIN = BUILT / "examples" / "standin"
COMMAND_LINE = BUILT / "cf-invalidate"

REGION = "us-east-1"
START_DEADLINE = 30.0  # seconds; MiniStack takes less than one on an idle machine
CHANGE_DEADLINE = 20.0  # seconds; MiniStack changes a stack in well under one
STOP_DEADLINE = 5.0  # seconds between the request to stop and the kill
POLL_INTERVAL = 0.05  # seconds
COMPLETES_AFTER = 8  # seconds that an invalidation takes here: longer than one job polls, shorter than two

T = TypeVar("T")


class CloudError(Exception):
    """The local AWS did not do what it had to; the message says what to look at."""


class Progress:
    """Says what is being waited for: counts the seconds on a terminal, prints plain lines elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Shows `what` while the block runs, and how long it took."""
        began = time.monotonic()
        done = threading.Event()
        counter = threading.Thread(target=self._count, args=(what, began, done), daemon=True)
        if self._terminal:
            counter.start()
        else:
            self._print(f"{what} ...\n")
        ending = "failed after"
        try:
            yield
            ending = "took"
        finally:
            done.set()
            if self._terminal:
                counter.join()
                self._print("\r\x1b[K")
            self._print(f"{what}: {ending} {time.monotonic() - began:.1f} s\n")

    def _count(self, what: str, began: float, done: threading.Event) -> None:
        while not done.wait(0.2):
            self._print(f"\r\x1b[K{what} ... {time.monotonic() - began:.0f} s")

    @staticmethod
    def _print(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def poll(probe: Callable[[], T | None], deadline: float) -> T | None:
    """Asks `probe` until it answers something true, or the seconds are over."""
    until = time.monotonic() + deadline
    while True:
        if answer := probe():
            return answer
        if time.monotonic() > until:
            return None
        time.sleep(POLL_INTERVAL)


class Cloud:
    """The running local AWS: `endpoint` is MiniStack's URL, `standin` the stand-in's."""

    def __init__(self, venvs: Path, progress: Progress) -> None:
        self._venvs = venvs.absolute()
        self._progress = progress
        self._cleanup = ExitStack()
        ministack_port, standin_port = free_ports(2)
        # Each needs the other's URL before it starts, hence ports chosen beforehand.
        self.endpoint = f"http://127.0.0.1:{ministack_port}"
        self.standin = f"http://127.0.0.1:{standin_port}"

    def __enter__(self) -> Cloud:
        for binary in (FUNCTION, STANDIN, COMMAND_LINE):
            if not binary.exists():
                raise CloudError(f"{binary} is not built: run `make demo`, or `cargo build --bins --examples` first")
        try:
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        with self._progress.step("stopping the local AWS"):
            self._cleanup.close()

    def client(self, service: str) -> Any:
        """Creates a boto3 client of the local AWS."""
        # Path style: a bucket's own host name would not resolve here.
        return boto3.client(service, endpoint_url=self.endpoint, config=Config(s3={"addressing_style": "path"}))

    def deploy(self, stack: str, parameters: dict[str, str]) -> dict[str, str]:
        """Deploys template.yaml by `sam deploy` with the built function; gives the stack's outputs."""
        folder = self._directory / "stack"
        copy_stack(folder)
        command = ["sam", "deploy", "--stack-name", stack, "--no-confirm-changeset", "--no-progressbar"]
        if parameters:
            command += ["--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]
        with self._progress.step("sam deploy"):
            result = subprocess.run(
                command,
                check=False,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        if result.returncode != 0:
            raise CloudError(f"sam deploy exited with {result.returncode}:\n{result.stdout}")
        return outputs(self._stack(stack))

    def change(self, stack: str, parameters: dict[str, str]) -> dict[str, str]:
        """Gives a deployed stack other parameters, much quicker than `sam deploy` would; gives its outputs."""
        self.client("cloudformation").update_stack(
            StackName=stack,
            UsePreviousTemplate=True,
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )

        def settled() -> dict[str, Any] | None:
            described = self._stack(stack)
            return None if described["StackStatus"].endswith("_IN_PROGRESS") else described

        described = poll(settled, CHANGE_DEADLINE)
        if not described or described["StackStatus"] != "UPDATE_COMPLETE":
            raise CloudError(f"the change of stack {stack} did not succeed: {described or 'still in progress'}")
        return outputs(described)

    def cf_invalidate(self, arguments: list[str], typed: str = "") -> subprocess.CompletedProcess[str]:
        """Runs the command line as somebody would whose account this is."""
        return subprocess.run(
            [str(COMMAND_LINE), *arguments],
            env=os.environ | {"AWS_ENDPOINT_URL_CLOUDFRONT": self.standin, "HOME": str(self._directory)},
            cwd=self._directory,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def ask_standin(self, path: str, body: Any = None) -> Any:
        """Calls the stand-in's control API: GET, or POST when there is a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.standin + path, data, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read() or "null")

    def logs(self) -> str:
        """Gives the last lines that the two processes printed, to explain a failure."""
        return "\n".join(f"--- {log.name}\n{tail(log)}" for log in sorted(self._directory.glob("*.log")))

    def _stack(self, name: str) -> dict[str, Any]:
        return self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]

    def _start(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="cloudfront-invalidator-")
        self._directory = Path(self._cleanup.enter_context(temporary))
        self._cleanup.enter_context(environment(self._local_settings()))
        with self._progress.step("starting the local AWS"):
            ports = ["--port", port_of(self.standin), "--upstream", self.endpoint]
            standin = self._run("standin", [str(STANDIN), *ports, "--completes-after", str(COMPLETES_AFTER)])
            ministack = self._run("ministack", [str(self._venvs / "cloud/bin/ministack")], self._ministack_settings())
            self._await_answer("the stand-in", standin, self.standin + "/_standin/invalidations")
            self._await_answer("MiniStack", ministack, self.endpoint + "/_ministack/health")

    def _local_settings(self) -> dict[str, str]:
        """What this process and all children see: the local AWS and no other."""
        return {
            "PATH": os.pathsep.join([str(self._venvs / "tools/bin"), "/usr/local/bin", "/usr/bin", "/bin"]),
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
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent",
            # The function inherits these three; MiniStack does not derive the level from the template.
            "AWS_ENDPOINT_URL_CLOUDFRONT": self.standin,
            "AWS_ENDPOINT_URL_CODEPIPELINE": self.standin,
            "AWS_LAMBDA_LOG_LEVEL": "DEBUG",
        }

    def _run(self, name: str, command: list[str], settings: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        log = self._cleanup.enter_context(open(self._directory / f"{name}.log", "wb"))
        process = subprocess.Popen(
            command,
            env=os.environ | (settings or {}),
            cwd=self._directory,
            stdin=subprocess.PIPE,  # its end tells the stand-in that nobody is left to stop it
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only us, and we stop each with its own children
        )
        self._cleanup.callback(stop, process)
        return process

    def _await_answer(self, name: str, process: subprocess.Popen[bytes], url: str) -> None:
        def answered() -> bool:
            if process.poll() is not None:
                raise CloudError(f"{name} exited with {process.returncode}:\n{self.logs()}")
            with suppress(OSError):
                urllib.request.urlopen(url, timeout=2).close()
                return True
            return False

        if not poll(answered, START_DEADLINE):
            raise CloudError(f"{name} does not answer at {url} after {START_DEADLINE:.0f} s:\n{self.logs()}")


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    """Gives the outputs of a stack that was described."""
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def copy_stack(folder: Path) -> None:
    """Lays out what `sam build` would: the template beside a folder with the built function as `bootstrap`."""
    (folder / "function").mkdir(parents=True, exist_ok=True)
    shutil.copy(FUNCTION, folder / "function/bootstrap")
    shutil.copy(PROJECT / "samconfig.toml", folder)
    source = "CodeUri: ."
    template = (PROJECT / "template.yaml").read_text(encoding="utf-8")
    if template.count(source + "\n") != 1:
        raise CloudError(f"template.yaml must hold one line `{source}`, which the built function replaces here")
    (folder / "template.yaml").write_text(template.replace(source, "CodeUri: function"), encoding="utf-8")


@contextmanager
def environment(settings: dict[str, str]) -> Iterator[None]:
    """Replaces this process's environment: proxies, profiles and credentials of the person do not come along."""
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
    """Stops a process that leads its own session, and the children it left."""
    if process.stdin:
        process.stdin.close()
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_DEADLINE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_ports(count: int) -> list[int]:
    """Finds ports that nobody listens on, all of them different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def port_of(url: str) -> str:
    """Gives the port of one of our URLs."""
    return url.rpartition(":")[2]


def tail(log: Path, lines: int = 40) -> str:
    """Gives the last lines of a file."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def end_on_sigterm() -> None:
    """Makes SIGTERM leave the `with` blocks in order, as Ctrl-C does."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
