"""What a child process does: answer one JSON line after the other.

Needs nothing but Python, as peers run where nothing of ours is installed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
import json
import os
import signal
import sys
from typing import TextIO


def serve(actions: Mapping[str, Callable[..., object]]) -> None:
    """Do what the parent asks for, until it is done with us."""
    answers = _take_output()
    for line in sys.stdin:
        action, arguments = json.loads(line)
        _answer(answers, actions[action](**arguments))


async def serve_async(actions: Mapping[str, Callable[..., Awaitable[object]]]) -> None:
    """Do the same in an event loop."""
    answers = _take_output()
    cancel_when_terminated()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while line := await reader.readline():
            action, arguments = json.loads(line)
            _answer(answers, await actions[action](**arguments))
    finally:
        transport.close()


def cancel_when_terminated() -> None:
    """Let a SIGTERM end the current task in good order, so that it tidies up."""
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _take_output() -> TextIO:
    """Return standard output, which nothing that a library prints may disturb."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def _answer(answers: TextIO, result: object) -> None:
    """Tell the parent what came of it."""
    json.dump(result, answers)
    answers.write("\n")
    answers.flush()
