"""Tests of how items of a library are read."""

from typing import Any

import pytest

from custom_components.plex_account.api.items import Item, part_path, picture_path

FILM = {"ratingKey": "1", "type": "movie", "title": "Film"}
THUMB = "/library/metadata/1/thumb/2"
PART = {"key": "/library/parts/1/2/file.mkv"}


@pytest.mark.parametrize(
    ("data", "field", "expected"),
    [
        ({"thumb": THUMB, "composite": f"{THUMB}1"}, "thumb", THUMB),
        ({"composite": THUMB, "parentThumb": f"{THUMB}1"}, "thumb", THUMB),
        ({"thumb": f"{THUMB}?width=400&height=600"}, "thumb", THUMB),
        ({"thumb": "//elsewhere/1", "composite": THUMB}, "thumb", THUMB),
        ({"parentThumb": THUMB}, "thumb", THUMB),
        ({"Media": {"container": "mkv", "Part": PART}}, "container", "mkv"),
        ({"Media": {"Part": PART | {"container": "mp4"}}}, "container", "mp4"),
        ({"Media": {"Part": [PART, PART]}}, "files", 1),
        ({"ratingKey": "0"}, "rating_key", "0"),
    ],
)
def test_item(data: dict[str, Any], field: str, expected: object) -> None:
    """What one place does not tell of an item another may."""
    item = Item.from_data(FILM | data)
    assert item
    match field:
        case "container":
            assert item.files[0].container == expected
        case "files":
            assert len(item.files) == expected
        case _:
            assert getattr(item, field) == expected


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "http://evil.example/library/parts/1/2/file.mp4",
        "/library/parts/1/2/file.mp4?download=1",
        "/library/parts/1/../2/file.mp4",
        "/library/parts/1/2/%66ile.mp4",
        "/library/parts/1/2/file.mp4\n",
        "/library/metadata/1/thumb/2/..",
    ],
)
def test_hostile_paths(path: str | None) -> None:
    """Nothing but files and pictures is ever asked for."""
    assert part_path(path) is None
    assert picture_path(path) is None
