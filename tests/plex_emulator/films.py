"""The one film that every media server has."""

RATING_KEY = 42
METADATA_PATH = f"/library/metadata/{RATING_KEY}"
POSTER_PATH = f"{METADATA_PATH}/thumb"
FILE_PATH = "/library/parts/77/1700000000/story.mp4"
FILE = b"There is nothing to see."
