"""Processes that never outlive whoever started them."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
import os
from pathlib import Path
import signal
import subprocess
import tempfile
from types import TracebackType
from typing import Self

from .waiting import eventually

ROOT = Path(__file__).parents[2]
# Seconds.
START_TIMEOUT = 60
STOP_TIMEOUT = 20


class ChildError(Exception):
    """A process ended by itself, and what it said last."""


class Child(ABC):
    """A process with a temporary folder, in which its output becomes a file."""

    name: str
    returncode: int | None = None
    """How it ended; 0 if in order."""

    def __enter__(self) -> Self:
        """Start the process."""
        with ExitStack() as stack:
            self.folder = Path(
                stack.enter_context(
                    tempfile.TemporaryDirectory(prefix=f"plex-account-{self.name}-")
                )
            )
            self._log = self.folder / "output.log"
            self._command = self._prepare()
            self._start()
            stack.callback(self._stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the process and remove its folder."""
        self._stack.close()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def log_file(self) -> Path:
        """Where its output is."""
        return self._log

    @property
    def log(self) -> str:
        """What the process has said."""
        return self._log.read_text(errors="replace")

    async def until[T](self, check: Callable[[], Awaitable[T | None]]) -> T:
        """Wait for the first answer to a question about its start."""

        async def check_alive() -> T | None:
            if (code := self._process.poll()) is not None:
                raise ChildError(f"{self.name} ended with {code}:\n{self.log}")
            return await check()

        return await eventually(check_alive, f"{self.name} runs", START_TIMEOUT)

    @abstractmethod
    def _prepare(self) -> Sequence[str | Path]:
        """Fill the folder, and return the command line."""

    def _environment(self) -> Mapping[str, str]:
        """Return the environment, without what slows Python down."""
        environment = dict(os.environ)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        return environment

    def restart(self) -> None:
        """Stop the process in order, and start it again in the same folder."""
        self._stop()
        if self.returncode:
            raise ChildError(f"{self.name} ended with {self.returncode}:\n{self.log}")
        self._start()

    def _start(self) -> None:
        """Start the process."""
        with self._log.open("ab") as output:
            # In a session of its own, as Ctrl-C is for us: we end it in order.
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self._command,
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _stop(self) -> None:
        """Ask the process to end, and end what is left of it."""
        self._process.terminate()
        try:
            self.returncode = self._process.wait(STOP_TIMEOUT)
        finally:
            # Also if it takes too long, or if we are to hurry.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
