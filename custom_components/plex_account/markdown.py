"""Names as plain text, where Home Assistant would take them for Markdown."""

import re

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def escape_markdown(text: str) -> str:
    """Return Markdown that shows a text as it is: no link, no picture, no HTML."""
    return _PUNCTUATION.sub(r"\\\1", text)
