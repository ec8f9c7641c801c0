"""Tests of names where Markdown is expected."""

import pytest

from custom_components.plex_account.markdown import escape_markdown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada's attic", r"Ada\'s attic"),
        ("[Free](https://example.com)", r"\[Free\]\(https\:\/\/example\.com\)"),
        ("<img src=x> *&#42;*", r"\<img src\=x\> \*\&\#42\;\*"),
        (r"C:\Plex_1 ~{`|`}^@!", r"C\:\\Plex\_1 \~\{\`\|\`\}\^\@\!"),
        ("Dachboden größer", "Dachboden größer"),
    ],
)
def test_escape_markdown(text: str, expected: str) -> None:
    """All that could mean something is shown as it is."""
    assert escape_markdown(text) == expected
