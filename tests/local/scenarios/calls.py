"""What the functions call in AWS: a proxy between them and the local AWS, which records each call.

The service and the access key of a call are in its signature. The signature covers the headers, so a request is forwarded
unchanged, with the `Host` that the function signed. Calls that Lambda itself makes with the role of a function (it polls
queues, writes logs and sends failed events) do not arrive here.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from scenarios.local_server import LocalServer

SIGNATURE = re.compile(r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
ACCOUNT = "000000000000"  # of the local AWS
TIMEOUT = 60.0  # seconds; longer than any function waits for a response
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length"}

# The operations of CloudFront, with the kind of their resource.
CLOUDFRONT = [
    ("POST", r"distribution/([^/]+)/invalidation", "CreateInvalidation", "distribution"),
    ("GET", r"distribution/([^/]+)/invalidation", "ListInvalidations", "distribution"),
    ("GET", r"distribution/([^/]+)/invalidation/[^/]+", "GetInvalidation", "distribution"),
    ("GET", r"distribution/([^/]+)/config", "GetDistributionConfig", "distribution"),
    ("GET", r"distribution/([^/]+)", "GetDistribution", "distribution"),
    ("GET", r"distribution", "ListDistributions", ""),
    ("GET", r"cache-policy/([^/]+)", "GetCachePolicy", "cache-policy"),
    (
        "GET",
        r"continuous-deployment-policy/([^/]+)/config",
        "GetContinuousDeploymentPolicyConfig",
        "continuous-deployment-policy",
    ),
]


class Call(NamedTuple):
    """A call as IAM sees it."""

    access_key: str
    action: str
    resource: str


class Server(ThreadingHTTPServer):
    """A server that prints no error of a connection that a function has closed, because it no longer waits."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints errors, except those of the connection."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class CallRecorder(LocalServer):
    """The running proxy: `url` replaces the endpoints of the functions."""

    server_class = Server

    def __init__(self, ministack: str, standin: str) -> None:
        super().__init__()
        self._ministack = ministack
        self._standin = standin
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def settings(self) -> dict[str, str]:
        """Returns the variables with which the functions send their calls here."""
        services = ("CLOUDFRONT", "CODEPIPELINE", "SQS", "SECRETS_MANAGER", "SSM")
        return {f"AWS_ENDPOINT_URL_{service}": self.url for service in services}

    def new_calls(self) -> list[Call]:
        """Reads all calls since the last reading."""
        with self._lock:
            calls, self._calls = self._calls, []
        return calls

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        signature = SIGNATURE.search(request.headers.get("authorization", ""))
        service = signature["service"] if signature else ""
        upstream = self._standin if service in ("cloudfront", "codepipeline") else self._ministack
        connection = HTTPConnection(urlsplit(upstream).netloc, timeout=TIMEOUT)
        try:
            connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() != "connection":
                    connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            text = response.read()
            headers = [(name, value) for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP]
        finally:
            connection.close()
        if signature:
            action, resource = requested(request.command, request.path, dict(request.headers), body, signature)
            with self._lock:
                self._calls.append(Call(signature["key"], action, resource))
        return response.status, headers, text

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        forward = self._forward

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                try:
                    status, headers, text = forward(self, body)
                except (OSError, HTTPException):
                    self.close_connection = True
                    return
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(text)))
                # One write, so that the response is not delayed.
                self._headers_buffer.append(b"\r\n" + text)  # type: ignore[attr-defined]
                self.flush_headers()

            do_GET = do_POST = respond

            def log_message(self, *_arguments: object) -> None:
                """Prints nothing: the default prints each request."""

        return Handler


def requested(
    method: str, target: str, headers: dict[str, str], body: bytes, signature: re.Match[str]
) -> tuple[str, str]:
    """Returns the action and the resource of a call; an action without a narrower resource has `*`."""
    region, service = signature["region"], signature["service"]
    if service == "cloudfront":
        path = urlsplit(target).path.removeprefix("/2020-05-31/")
        for expected, pattern, action, kind in CLOUDFRONT:
            if method == expected and (match := re.fullmatch(pattern, path)):
                resource = f"arn:aws:cloudfront::{ACCOUNT}:{kind}/{match[1]}" if kind else "*"
                return f"cloudfront:{action}", resource
        return f"cloudfront:{method} {path}", "*"
    operation = {name.lower(): value for name, value in headers.items()}.get("x-amz-target", "").rpartition(".")[2]
    fields: dict[str, Any] = {}
    with suppress(ValueError):
        fields = json.loads(body)
    resource = "*"
    if service == "sqs":
        resource = f"arn:aws:sqs:{region}:{ACCOUNT}:{fields.get('QueueUrl', '').rpartition('/')[2]}"
    elif service == "secretsmanager":
        resource = fields.get("SecretId", "")
        if not resource.startswith("arn:"):
            resource = f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{resource}-a1B2c3"
    elif service == "ssm":
        resource = f"arn:aws:ssm:{region}:{ACCOUNT}:parameter/{fields.get('Name', '').lstrip('/')}"
    return f"{service}:{operation}", resource
