"""Answers that are made to keep the reader busy, and somebody who gives them."""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
import gzip
import socket
import threading


@dataclass(frozen=True, slots=True)
class HostileAnswer:
    """All that is sent, again and again if there is no end."""

    data: bytes
    endless: bool = False


@contextmanager
def thread_server(answer: HostileAnswer) -> Generator[str]:
    """Answer from another thread, so that only the client is in the event loop."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.05)
    over = threading.Event()

    def serve() -> None:
        """Send to who comes, until he leaves."""
        while not over.is_set():
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.settimeout(1)
                    connection.recv(65536)
                    connection.sendall(answer.data)
                    while answer.endless:
                        connection.sendall(answer.data)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        over.set()
        thread.join()
        listening.close()


def answered(body: bytes, *headers: bytes) -> HostileAnswer:
    """Return a whole answer."""
    length = b"Content-Length: %d" % len(body)
    return HostileAnswer(
        b"\r\n".join((b"HTTP/1.1 200 OK", length, *headers, b"", body))
    )


def packed(body: bytes) -> HostileAnswer:
    """Return a whole answer that is smaller than it looks."""
    return answered(gzip.compress(body), b"Content-Encoding: gzip")


MANY = 8 * 1024 * 1024
HOSTILE = {
    "packed XML": packed(b"<a>" + b"<b/>" * (MANY // 4) + b"</a>"),
    "some packed XML": packed(b"<a>" + b"<b/>" * 80_000 + b"</a>"),
    "XML": answered((b"<a>" + b"<b/>" * (MANY // 4))[:MANY]),
    "elements": answered(b"<a>" + b"<b/>" * 100_000 + b"</a>"),
    "attributes": answered(
        b"<a %b/>" % b" ".join(b'a%d=""' % i for i in range(240_000))
    ),
    "tags": answered(b"<a>%b</a>" % b"".join(b"<t%d/>" % i for i in range(120_000))),
    "JSON": answered(b"[" + b"{}," * (MANY // 3 - 2) + b"{}]"),
    "objects": answered(b"[" + b"{}," * 240_000 + b"{}]"),
    "fields": answered(b"{%b}" % b",".join(b'"%d":"x"' % i for i in range(120_000))),
    "text": answered(b'"' + b"\\u00e9" * (MANY // 6 - 1) + b'"'),
    "interim": HostileAnswer(b"HTTP/1.1 102 P\r\na:b\r\n\r\n" * 3000, endless=True),
    "chunks": HostileAnswer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\nx\r\n" * (MANY // 6)
    ),
    "headers": HostileAnswer(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000),
}
