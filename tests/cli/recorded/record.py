#!/usr/bin/env python3
"""Records what `aws s3` prints, against a local S3.

usage: record.py AWS DIRECTORY [MINISTACK]

AWS is the program of the AWS CLI, version 1 or 2. DIRECTORY gets one file for each command of COMMANDS, with both
streams as they appear in `aws s3 … > file 2>&1`. MINISTACK is target/venvs/cloud/bin/ministack by default; `make demo`
installs it. It runs on a free port in a temporary directory, and ends with this program.
"""

import json
import os
import pty
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

MINISTACK = Path(__file__).resolve().parents[3] / "target/venvs/cloud/bin/ministack"
START_TIMEOUT = 30.0  # seconds; MiniStack takes less than one on an idle machine
STOP_TIMEOUT = 5.0  # seconds
LARGE = 9_000_000  # bytes: more than one part of an upload, so that progress is printed

FILES = [
    " leading.html",
    "a+b & c.html",
    "assets/app.min.js",
    "blog/café.html",
    "blog/日本語.html",
    "index.html",
    "my dir/my page.html",
    "to s3: not.html",
    "two  spaces.html",
]
ACCESS_POINT = "arn:aws:s3:eu-west-1:111122223333:accesspoint"

# Each file with the arguments of `aws s3`. A function before a command changes the files. `restricted` runs the command
# as a user who can neither write nor delete in a folder `denied/`, `terminal` in a terminal.
COMMANDS = [
    ("sync-upload", ["sync", "site", "s3://site"]),
    ("sync-nothing", ["sync", "site", "s3://site"]),
    ("sync-only-errors", ["sync", "site", "s3://site/quiet", "--only-show-errors"]),
    ("sync-terminal", ["sync", "site", "s3://site/pty"], "terminal"),
    ("sync-terminal-no-progress", ["sync", "site", "s3://site/pty2", "--no-progress"], "terminal"),
    ("sync-copy", ["sync", "s3://site/pty", "s3://copies/prod"]),
    ("sync-download", ["sync", "s3://site/assets", "down"]),
    lambda: Path("down/extra.txt").write_text("x"),
    ("sync-download-delete", ["sync", "s3://site/assets", "down", "--delete"]),
    ("cp", ["cp", "site/index.html", "s3://site/cp/index.html"]),
    ("cp-recursive", ["cp", "site/assets", "s3://site/cp/assets", "--recursive"]),
    ("cp-missing-bucket", ["cp", "site/index.html", "s3://nosuchbucket/x"]),
    ("cp-missing-key", ["cp", "s3://site/nosuchkey", "down/x"]),
    ("sync-missing-bucket", ["sync", "s3://nosuchbucket", "s3://site"]),
    ("mv", ["mv", "s3://site/cp/index.html", "s3://site/cp/new page.html"]),
    lambda: Path("site/moved.html").write_text("x\n"),
    ("mv-upload", ["mv", "site/moved.html", "s3://site/cp/moved.html"]),
    ("mv-download", ["mv", "s3://site/cp/moved.html", "down/moved.html"]),
    ("rm", ["rm", "s3://site/cp", "--recursive"]),
    ("rm-one", ["rm", "s3://site/quiet/index.html"]),
    lambda: change_and_delete(),
    ("sync-dryrun", ["sync", "site", "s3://site", "--delete", "--exclude", "pty*", "--exclude", "quiet/*", "--dryrun"]),
    ("sync-delete", ["sync", "site", "s3://site", "--delete", "--exclude", "pty*", "--exclude", "quiet/*", "--no-progress"]),
    ("dryrun-access-point", ["cp", "site/assets", f"s3://{ACCESS_POINT}/myap/docs", "--recursive", "--dryrun"]),
    ("dryrun-access-point-colon", ["cp", "site/index.html", f"s3://{ACCESS_POINT}:myap/a:b.html", "--dryrun"]),
    ("dryrun-access-point-multi-region",
        ["cp", "site/index.html", "s3://arn:aws:s3::111122223333:accesspoint/mfzwi23gnjvgw.mrap/a.html", "--dryrun"]),
    ("dryrun-outpost",
        ["cp", "site/index.html",
            "s3://arn:aws:s3-outposts:us-west-2:111122223333:outpost/op-0123456789abcdef/accesspoint/myap/a.html",
            "--dryrun"]),
    ("dryrun-access-point-alias",
        ["cp", "site/index.html", "s3://myap-abcdefghijklmnopqrstuvwxyz1234-s3alias/a.html", "--dryrun"]),
    lambda: add_denied(),
    ("sync-upload-failed", ["sync", "mixed", "s3://site/uploaded"], "restricted"),
    ("sync-copy-failed", ["sync", "s3://site/uploads", "s3://site/copied", "--no-progress"], "restricted"),
    ("mv-source-not-deleted", ["mv", "s3://site/uploads/denied/a.html", "s3://site/moved/new.html"], "restricted"),
    ("sync-delete-failed", ["sync", "empty", "s3://site/uploads", "--delete"], "restricted"),
    lambda: add_unreadable(),
    ("sync-warnings", ["sync", "unreadable", "s3://site/unreadable"]),
]


def change_and_delete() -> None:
    Path("site/index.html").write_text("changed")
    Path("site/blog/café.html").unlink()
    Path("site/my dir/my page.html").unlink()


def add_denied() -> None:
    """Adds files and objects of which the restricted user can upload, copy or delete a part."""
    Path("empty").mkdir()
    for name in ("denied/a.html", "denied/b page.html", "dir/c.html"):
        path = Path("mixed", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")
    aws("s3", "sync", "mixed", "s3://site/uploads")


def add_unreadable() -> None:
    """Adds what the AWS CLI skips: a link without a target and a named pipe."""
    directory = Path("unreadable")
    directory.mkdir()
    (directory / "good.html").write_text("x")
    (directory / "broken link").symlink_to("missing")
    os.mkfifo(directory / "pipe")


def aws(*arguments: str) -> str:
    """Runs the AWS CLI, which has to succeed, and returns what it prints."""
    command = [AWS, "--endpoint-url", ENDPOINT, *arguments]
    return subprocess.run(command, env=settings("test", "test"), check=True, capture_output=True, text=True).stdout


def settings(key_id: str, secret: str) -> dict[str, str]:
    """Returns the environment of the AWS CLI: nothing of the user's settings."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.getcwd(),
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }


def create_restricted_user() -> dict[str, str]:
    """Returns the environment of a user who can neither write nor delete in a folder `denied/`."""
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    deny = {
        "Effect": "Deny",
        "Action": ["s3:PutObject", "s3:DeleteObject"],
        "Resource": "arn:aws:s3:::site/*/denied/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow, deny]})
    aws("iam", "create-user", "--user-name", "restricted")
    aws("iam", "put-user-policy", "--user-name", "restricted", "--policy-name", "p", "--policy-document", policy)
    created = json.loads(aws("iam", "create-access-key", "--user-name", "restricted", "--output", "json"))
    return settings(created["AccessKey"]["AccessKeyId"], created["AccessKey"]["SecretAccessKey"])


def output_in_terminal(command: list[str], environment: dict[str, str]) -> bytes:
    """Runs the command in a terminal and returns what it prints."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(command, env=environment, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    output = b""
    while True:
        try:
            part = os.read(controller, 65_536)
        except OSError:  # Linux reports the end of a terminal in this way.
            part = b""
        if not part:
            break
        output += part
    process.wait()
    os.close(controller)
    return output


def wait_until_ready(process: subprocess.Popen[bytes]) -> None:
    started = time.monotonic()
    while time.monotonic() - started < START_TIMEOUT and process.poll() is None:
        try:
            urllib.request.urlopen(f"{ENDPOINT}/_ministack/health", timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    sys.exit("MiniStack does not start")


def record(directory: Path) -> None:
    Path("site/assets").mkdir(parents=True)
    Path("site/assets/film.mp4").write_bytes(bytes(LARGE))
    for name in FILES:
        path = Path("site", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")
    for bucket in ("site", "copies"):
        aws("s3", "mb", f"s3://{bucket}")
    owner, restricted = settings("test", "test"), create_restricted_user()
    for entry in COMMANDS:
        if callable(entry):
            entry()
            continue
        name, arguments, *how = entry
        command = [AWS, "--endpoint-url", ENDPOINT, "s3", *arguments]
        environment = restricted if "restricted" in how else owner
        if "terminal" in how:
            output = output_in_terminal(command, environment)
        else:
            streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            output = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, **streams).stdout
        # The warnings contain the temporary directory.
        (directory / f"{name}.txt").write_bytes(output.replace(os.getcwd().encode(), b"/home/build"))
        print(f"{name}.txt: aws s3 {' '.join(arguments)}", flush=True)


def main() -> None:
    global AWS, ENDPOINT
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    AWS = sys.argv[1] if os.sep not in sys.argv[1] else os.path.abspath(sys.argv[1])
    directory = Path(sys.argv[2]).absolute()
    ministack = Path(sys.argv[3] if len(sys.argv) == 4 else MINISTACK).absolute()
    with socket.socket() as unbound:
        unbound.bind(("127.0.0.1", 0))
        port = unbound.getsockname()[1]
    ENDPOINT = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        environment = {
            **settings("test", "test"),
            "PATH": f"{ministack.parent}:/usr/bin:/bin",
            "TMPDIR": temporary,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "AWS_ENDPOINT_URL": ENDPOINT,
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent",
            "AUTH": "true",
        }
        with open("ministack.log", "wb") as log:
            process = subprocess.Popen([ministack], env=environment, stdout=log, stderr=log)
        try:
            wait_until_ready(process)
            record(directory)
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.chdir("/")


main()
