"""How much of an answer is read, and how."""

import pytest

from custom_components.plex_account.api.reading import (
    MAX_VALUES,
    MAX_XML_ELEMENT,
    decode,
    one_line,
)


@pytest.mark.parametrize("separator", [b",", b":", b"["])
def test_most_of_json(separator: bytes) -> None:
    """An answer with more than Plex sends is not even decoded."""
    assert decode(b'"' + separator * MAX_VALUES + b'"')
    with pytest.raises(ValueError, match="many"):
        decode(b'"' + separator * (MAX_VALUES + 1) + b'"')


@pytest.mark.parametrize(("element", "signs"), [(b"<b/>", 2), (b'<b c="" d=""/>', 4)])
def test_most_of_xml(element: bytes, signs: int) -> None:
    """Nor is one in XML, in which other signs count."""
    most = (MAX_VALUES - len(("<", ">", "<", ">"))) // signs
    assert decode(b"<a>" + element * most + b"</a>")
    with pytest.raises(ValueError, match="many"):
        decode(b"<a>" + element * (most + 1) + b"</a>")


@pytest.mark.parametrize("filling", [b"x", b"x "])
def test_longest_element(filling: bytes) -> None:
    """An element of XML is bounded, whatever it is made of."""
    room = MAX_XML_ELEMENT - len('a b=""/>')
    longest = filling * (room // len(filling))
    assert decode(b'<a b="' + longest + b'"/>') == {"a": {"b": longest.decode()}}
    with pytest.raises(ValueError, match="too long"):
        decode(b'<a b="' + longest + filling + b'"/>')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada's 🏠", "Ada's 🏠"),
        (" \tAda\r\nLovelace\0 ", "Ada Lovelace"),
        ("cod\u202egpj.exe", "cod gpj.exe"),
        ("x" * 300, "x" * 255),
    ],
)
def test_one_line(text: str, expected: str) -> None:
    """Nothing breaks a line, or turns round how it is read."""
    assert one_line(text) == expected
