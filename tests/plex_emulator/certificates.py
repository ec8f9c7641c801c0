"""Certificates and names, for the addresses at which a server is reached by HTTPS."""

import asyncio
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
import socket
import ssl
from typing import Final, Self

from aiohttp.abc import AbstractResolver, ResolveResult
import trustme

# The file of an authority's folder by which it can be trusted.
CERTIFICATE: Final = "ca.pem"


class CertificateAuthority:
    """An authority that nobody trusts but who takes its client context."""

    def __init__(self, ca: trustme.CA | None = None) -> None:
        """Make its own certificate, unless there is one."""
        self._ca = ca or trustme.CA()
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the authority of a folder, which is made if there is none."""
        certificate, key = folder / CERTIFICATE, folder / "ca.key"
        if certificate.exists():
            return cls(trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes()))
        folder.mkdir(exist_ok=True)
        ca = trustme.CA()
        ca.private_key_pem.write_to_path(str(key))
        ca.cert_pem.write_to_path(str(certificate))
        return cls(ca)

    @property
    def pem(self) -> str:
        """What to trust."""
        return self._ca.cert_pem.bytes().decode()

    def server_context(self, *names: str) -> ssl.SSLContext:
        """Return the context of a server that answers to host names and addresses."""
        if names not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._ca.issue_cert(*names).configure_cert(context)
            self._contexts[names] = context
        return self._contexts[names]

    def expired_context(self, *names: str) -> ssl.SSLContext:
        """Return the context of a server whose certificate was good until yesterday."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        now = datetime.now(UTC)
        self._ca.issue_cert(
            *names,
            not_before=now - timedelta(days=2),
            not_after=now - timedelta(days=1),
        ).configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return the context of a client that trusts this authority and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._ca.configure_trust(context)
        return context


class LoopbackResolver(AbstractResolver):
    """Resolves names that match a pattern to 127.0.0.1, and no other name."""

    def __init__(self, *patterns: str, delay: float = 0) -> None:
        """Know these names, such as *.plex.direct, and take some seconds for each."""
        self.patterns = list(patterns)
        self.delay = delay
        self.asked: list[tuple[str, int]] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look a name up without asking anyone."""
        self.asked.append((host, port))
        if self.delay:
            await asyncio.sleep(self.delay)
        if not any(fnmatchcase(host, pattern) for pattern in self.patterns):
            raise OSError(socket.EAI_NONAME, "Name does not resolve")
        result = ResolveResult(
            hostname=host,
            host="127.0.0.1",
            port=port,
            family=socket.AF_INET,
            proto=0,
            flags=socket.AI_NUMERICHOST,
        )
        return [result]

    async def close(self) -> None:
        """Release nothing."""
