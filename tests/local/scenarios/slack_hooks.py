"""What the functions post to Slack: to the response URL of a command, and to the incoming webhook.

Both are URLs of hooks.slack.com. MiniStack passes SLACK_ENDPOINT_URL on to the functions, which then send the same paths to
this server instead.

Each post is read only once, as other effects of a step.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from scenarios.local_server import LocalServer


class Post(NamedTuple):
    """A post, which the server answered with this status."""

    path: str
    message: Any  # JSON; the body as a text if it is not JSON
    content_type: str
    status: int


class SlackHooks(LocalServer):
    """The running server: `url` is the scheme, host and port that replace those of Slack."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._posts: list[Post] = []
        self._statuses: list[int] = []  # of the next responses; after them, each is 200

    def fail_next(self, *statuses: int) -> None:
        """Makes the next posts fail with these statuses, one after the other; 404 is that of an expired response URL."""
        with self._changed:
            self._statuses += statuses

    def new_posts(self, count: int, timeout: float) -> list[Post]:
        """Waits for this number of posts, at most for these seconds; reads all posts since the last reading."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._posts) >= count, timeout)
            posts, self._posts = self._posts, []
        return posts

    def _record(self, path: str, body: bytes, content_type: str) -> int:
        text = body.decode(errors="replace")
        try:
            message = json.loads(text)
        except ValueError:
            message = text
        with self._changed:
            status = self._statuses.pop(0) if self._statuses else 200
            self._posts.append(Post(path, message, content_type, status))
            self._changed.notify_all()
        return status

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        record = self._record

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status = record(self.path, body, self.headers.get("content-type", ""))
                reply = b"ok" if status == 200 else b"failed"
                self.send_response(status)
                self.send_header("content-type", "text/plain; charset=utf-8")
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_arguments: object) -> None:
                """Prints nothing: the default prints each request."""

        return Handler


def path_of(url: str) -> str:
    """Returns the path of a URL of hooks.slack.com, at which the post to it arrives here."""
    return urlsplit(url).path
