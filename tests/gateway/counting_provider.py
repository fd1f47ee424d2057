"""A provider with a limit of requests per window, which says in every answer what is left, as OpenAI or Anthropic."""

import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from recorder import ANSWER

_MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "ok"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


class CountingProvider:
    """`refused` counts the 429s; `window_s` is fixed, and begins with the first request after the last one's end."""

    def __init__(self, api: str, limit: int, window_s: float) -> None:
        self.api, self.limit, self.window_s = api, limit, window_s
        self.answered = self.refused = 0
        self.address = ""
        self._lock = threading.Lock()
        self._used, self._ends = 0, 0.0

    def take(self) -> tuple[bool, dict[str, str]]:
        """Whether one more request may be answered, and the headers."""
        with self._lock:
            now = time.time()
            if now >= self._ends:
                self._used, self._ends = 0, now + self.window_s
            is_good = self._used < self.limit
            self._used += is_good
            self.answered += is_good
            self.refused += not is_good
            return is_good, self._headers(self.limit - self._used, self._ends - now)

    def _headers(self, left: int, resets_in_s: float) -> dict[str, str]:
        moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=resets_in_s)
        reset = f"{moment:%Y-%m-%dT%H:%M:%SZ}" if self.api == "anthropic" else f"{round(resets_in_s * 1000)}ms"
        name = "anthropic-ratelimit-requests-{}" if self.api == "anthropic" else "x-ratelimit-{}-requests"
        said = {"limit": self.limit, "remaining": left, "reset": reset}
        return {name.format(what): str(value) for what, value in said.items()}


@contextmanager
def counting_provider(api: str, limit: int, window_s: float) -> Iterator[CountingProvider]:
    """Run one on loopback."""
    provider = CountingProvider(api, limit, window_s)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            is_good, headers = provider.take()
            good = json.dumps(_MESSAGE).encode() if api == "anthropic" else ANSWER
            body = good if is_good else b'{"error": {"message": "too many"}}'
            self.send_response(200 if is_good else 429)
            for name, value in {**headers, "content-type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        provider.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
