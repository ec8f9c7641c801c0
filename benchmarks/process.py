"""Child processes that are asked for things, one JSON line for each."""

import asyncio
from collections.abc import Sequence
import contextlib
import json
from pathlib import Path
import sys
import tempfile
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[1]
# Seconds until a child that does not answer is given up, and that it has to end.
PATIENCE = 240
END_PATIENCE = 5
# Bytes of the longest answer.
LINE_LIMIT = 64 * 1024 * 1024


class ChildError(Exception):
    """A child ended, and what it said about it."""


class Child:
    """A process that does what it is asked for until its standard input ends.

    It does not outlive us: whatever ends us also ends its input.
    """

    def __init__(self, command: Sequence[str | Path]) -> None:
        """Keep how to start it."""
        self._command = command

    @classmethod
    def module(
        cls, name: str, *arguments: str, python: str | Path = sys.executable
    ) -> Self:
        """Return a child that runs one of our modules."""
        return cls([python, "-m", f"benchmarks.{name}", *arguments])

    async def __aenter__(self) -> Self:
        """Start it."""
        with contextlib.ExitStack() as stack:
            self._errors = stack.enter_context(tempfile.TemporaryFile())
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=self._errors,
                limit=LINE_LIMIT,
            )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let it end, or end it."""
        with self._stack:
            assert self._process.stdin
            self._process.stdin.close()
            # In the middle of something it needs to be told, and then to tidy up.
            for end in (self._process.terminate, self._process.kill):
                try:
                    async with asyncio.timeout(END_PATIENCE):
                        await self._process.wait()
                except TimeoutError:
                    end()
            await self._process.wait()

    async def __call__(self, action: str, **arguments: Any) -> Any:
        """Let it do something and return what came of it."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.write(json.dumps([action, arguments]).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            line = await stdout.readline()
        if not line:
            await self._process.wait()
            self._errors.seek(0)
            raise ChildError(self._errors.read().decode(errors="replace"))
        return json.loads(line)
