"""A server within this process: it runs in threads, from the start to the end of a `with` block."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class LocalServer:
    """A running server: `url` is its scheme, host and port. A subclass defines what it responds."""

    server_class = ThreadingHTTPServer

    def __init__(self) -> None:
        self.url = ""

    def __enter__(self) -> Self:
        self._server = self.server_class(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        raise NotImplementedError
