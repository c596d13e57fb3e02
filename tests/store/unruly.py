"""A real S3 server on loopback, and a proxy before it that misbehaves on command."""

import os
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest
from moto.server import ThreadedMotoServer

KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
BUCKET = "s3://unruly"


@dataclass
class Unruly:
    """The proxy, which hands requests on unless `misbehaves` says how it treats them instead.

    `misbehaves` is asked for every request, by its method and path.
    """

    port: int
    misbehaves: Callable[[str, str], str | None] = lambda _method, _path: None
    asked: list[str] = field(default_factory=list)
    """Methods and paths of all requests, in order."""

    @property
    def environment(self) -> dict[str, str]:
        """What leads there, for child processes and Secret blocks."""
        return {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}

    def all(self, how: str | None) -> None:
        """From now on every request is treated so."""
        self.misbehaves = lambda _method, _path: how

    def checkpoints(self, run: str) -> list[str]:
        """Those that a run has tried to complete, in order."""
        of_run = re.compile(rf"PUT /[^/]+/{run}/.*/(it-\d+)/MANIFEST.json")
        return [found[1] for found in map(of_run.fullmatch, self.asked) if found]

    @contextmanager
    def during(self, how: str) -> Iterator[None]:
        """Every request is treated so while what is inside goes on."""
        self.all(how)
        try:
            yield
        finally:
            self.all(None)


@contextmanager
def unruly() -> Iterator[Unruly]:
    """The proxy with a bucket behind it; the environment of this process leads there, too."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        with _before(server.get_host_and_port()) as proxy, pytest.MonkeyPatch.context() as patch:
            for name, value in proxy.environment.items():
                patch.setenv(name, value)
            made = f"{os.environ['AWS_ENDPOINT_URL']}/{BUCKET[5:]}"
            urllib.request.urlopen(urllib.request.Request(made, method="PUT")).close()
            yield proxy
    finally:
        server.stop()


@contextmanager
def _before(server: tuple[str, int]) -> Iterator[Unruly]:
    ended = Event()

    class Handler(BaseHTTPRequestHandler):
        """One connection of a client."""

        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def treat(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            proxy.asked.append(f"{self.command} {self.path}")
            how = proxy.misbehaves(self.command, self.path)
            treatments[how](self, body)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = treat  # noqa: N815

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("connection", "transfer-encoding"):
                    self.send_header(name, value)
            if "content-length" not in map(str.lower, headers):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def hand_on(self, body: bytes) -> None:
            """To the server, and its answer back."""
            self.answer(*self.answered(body))

        def answered(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = HTTPConnection(*server)
            connection.request(self.command, self.path, body, dict(self.headers))
            found = connection.getresponse()
            told = found.status, dict(found.getheaders()), found.read()
            connection.close()
            return told

        def drop(self, body: bytes) -> None:
            """Hung up on, unheard."""
            del body
            self.close_connection = True

        def lose(self, body: bytes) -> None:
            """Done, and hung up on before it is told."""
            self.answered(body)
            self.close_connection = True

        def slow_down(self, body: bytes) -> None:
            del body
            self.answer(503, {}, _told("SlowDown"))

        def expired(self, body: bytes) -> None:
            del body
            self.answer(400, {}, _told("ExpiredToken"))

        def denied(self, body: bytes) -> None:
            del body
            self.answer(403, {}, _told("AccessDenied"))

        def hang(self, body: bytes) -> None:
            """Taken, and never answered."""
            del body
            ended.wait()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Listening(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """Clients hang up, too."""

    treatments: dict[str | None, Callable[[Handler, bytes], None]] = {
        None: Handler.hand_on,
        "503": Handler.slow_down,
        "dropped": Handler.drop,
        "lost": Handler.lose,
        "expired": Handler.expired,
        "denied": Handler.denied,
        "silent": Handler.hang,
    }
    listening = Listening(("127.0.0.1", 0), Handler)
    proxy = Unruly(listening.server_address[1])
    thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        ended.set()
        listening.shutdown()
        listening.server_close()


def _told(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
