"""Requests of Slack to the function URL: slash commands, signed by Slack's own library.

MiniStack has no host name for a function URL, so a request goes to its port with the host in the `Host` header. A form
reaches the function in base64, and a body of another content type such as text/plain as it is.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from slack_sdk.signature import SignatureVerifier

from scenarios.slack_hooks import Post, path_of
from scenarios.stack import TIMEOUT, Mismatch, Stack, expect

FORM = "application/x-www-form-urlencoded"
SIGNATURE = "X-Slack-Signature"
TIMESTAMP = "X-Slack-Request-Timestamp"

WORKSPACE = "T0123456789"
CHANNEL = "C0123456789"
USER = "U0123456789"
COMMAND = "/cdn-purge"


@dataclass(frozen=True)
class SlackRequest:
    """A request with its raw body. The changed copies keep the signature, so they show what a signature protects."""

    body: bytes
    headers: dict[str, str]
    method: str = "POST"

    @property
    def response_path(self) -> str:
        """The path at which a post to the response URL of this command arrives."""
        return path_of(parse_qs(self.body.decode())["response_url"][0])

    def with_body(self, body: bytes) -> SlackRequest:
        """Returns a copy with another body."""
        return replace(self, body=body)

    def with_header(self, name: str, value: str) -> SlackRequest:
        """Returns a copy with another value of a header."""
        return replace(self, headers=self.headers | {name: value})

    def without_header(self, name: str) -> SlackRequest:
        """Returns a copy without a header."""
        return replace(self, headers={key: value for key, value in self.headers.items() if key != name})


@dataclass(frozen=True)
class Reply:
    """The response of the function URL."""

    status: int
    content_type: str
    text: str
    seconds: float

    @property
    def message(self) -> Any:
        """The JSON that Slack shows."""
        return json.loads(self.text)


class SlackApp:
    """The Slack app of the deployed stack: its secrets, the requests that Slack sends for it, and the posts to it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.signing_secrets: list[str] = []  # the current one first
        webhook_secret = secrets.token_hex(12)
        self.webhook_url = f"https://hooks.slack.com/services/{WORKSPACE}/B0123456789/{webhook_secret}"
        stack.secrets.add(webhook_secret)
        self.rotate()

    def rotate(self) -> None:
        """Generates a signing secret, with which requests are signed from now on."""
        self.signing_secrets.insert(0, secrets.token_hex(16))
        self._stack.secrets.add(self.signing_secrets[0])

    def parameters(self) -> dict[str, str]:
        """Returns the stack parameters with all secrets of the app."""
        return {"SlackSigningSecret": ",".join(self.signing_secrets), "SlackWebhookUrl": self.webhook_url}

    def command(
        self, text: str = "", *, secret: str | None = None, age: int = 0, content_type: str = FORM, **fields: str
    ) -> SlackRequest:
        """Returns a slash command with this text, which Slack signed `age` seconds ago. `fields` replaces fields."""
        # The end of the URL is the secret, whatever precedes it in a text.
        response_secret, token = secrets.token_hex(12), secrets.token_hex(12)
        self._stack.secrets |= {response_secret, token}
        form = {
            "token": token,
            "team_id": WORKSPACE,
            "team_domain": "example",
            "channel_id": CHANNEL,
            "channel_name": "web",
            "user_id": USER,
            "user_name": "kim",
            "command": COMMAND,
            "text": text,
            "api_app_id": "A0123456789",
            "is_enterprise_install": "false",
            "response_url": f"https://hooks.slack.com/commands/{WORKSPACE}/{secrets.randbelow(10**12)}/{response_secret}",
            "trigger_id": f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**9)}.{secrets.token_hex(16)}",
        }
        return self.signed(form | fields, secret=secret, age=age, content_type=content_type)

    def signed(
        self, form: dict[str, str], *, secret: str | None = None, age: int = 0, content_type: str = FORM
    ) -> SlackRequest:
        """Returns a request with this form. A negative age is a time in the future."""
        body = urlencode(form).encode()
        timestamp = str(int(time.time()) - age)
        verifier = SignatureVerifier(self.signing_secrets[0] if secret is None else secret)
        signature = verifier.generate_signature(timestamp=timestamp, body=body)
        if signature is None:
            raise Mismatch("slack_sdk generated no signature")
        self._stack.secrets.add(signature)
        headers = {"Content-Type": content_type, TIMESTAMP: timestamp, SIGNATURE: signature}
        return SlackRequest(body, headers | {"User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)"})

    def send(self, request: SlackRequest) -> Reply:
        """Sends a request to the function URL and waits for its response, longer than Slack does."""
        host = urlsplit(self._stack.outputs["SlackRequestUrl"]).netloc
        connection = HTTPConnection(urlsplit(self._stack.aws.endpoint).netloc, timeout=TIMEOUT)
        started = time.monotonic()
        try:
            connection.request(request.method, "/", request.body, request.headers | {"Host": host})
            response = connection.getresponse()
            text = response.read().decode()
            seconds = time.monotonic() - started
            return Reply(response.status, response.headers.get("content-type", ""), text, seconds)
        finally:
            connection.close()

    def posts(self, *paths: str) -> list[Post]:
        """Waits for posts to these paths; requires that there are no others."""
        posts = self._stack.aws.slack_hooks.new_posts(len(paths), TIMEOUT)
        expect("paths of the posts to Slack", sorted(paths), sorted(post.path for post in posts))
        return posts
