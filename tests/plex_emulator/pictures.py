"""The pictures that Plex has: avatars, QR codes and posters."""

import hashlib
from io import BytesIO
import zlib

from PIL import Image, ImageDraw

QR_SIZE = 25
QR_CORNER = 7
QR_MARGIN = 2
QR_SCALE = 6


def draw_avatar(uuid: str, size: int = 32) -> bytes:
    """Draw a square in a colour that depends on who it is for."""
    return _plain(uuid, size, size)


def draw_poster(server: str) -> bytes:
    """Draw a poster in a colour that depends on whose it is."""
    return _plain(server, 20, 30)


def draw_qr_code(text: str) -> bytes:
    """Draw what looks like a QR code, and is another one for another text."""
    noise = hashlib.shake_256(text.encode()).digest(QR_SIZE * QR_SIZE)
    code = Image.frombytes("L", (QR_SIZE, QR_SIZE), noise)
    code = code.point(lambda value: 255 * (value > 127))
    draw = ImageDraw.Draw(code)
    far = QR_SIZE - QR_CORNER
    for x, y in ((0, 0), (far, 0), (0, far)):
        draw.rectangle((x - 1, y - 1, x + QR_CORNER, y + QR_CORNER), fill=255)
        draw.rectangle((x, y, x + QR_CORNER - 1, y + QR_CORNER - 1), fill=0)
        draw.rectangle((x + 1, y + 1, x + QR_CORNER - 2, y + QR_CORNER - 2), fill=255)
        draw.rectangle((x + 2, y + 2, x + QR_CORNER - 3, y + QR_CORNER - 3), fill=0)
    page = Image.new("L", (QR_SIZE + 2 * QR_MARGIN,) * 2, 255)
    page.paste(code, (QR_MARGIN, QR_MARGIN))
    side = page.width * QR_SCALE
    return _png(page.resize((side, side), Image.Resampling.NEAREST))


def _plain(name: str, width: int, height: int) -> bytes:
    """Draw nothing but the colour of a name."""
    red, green, blue, _ = zlib.crc32(name.encode()).to_bytes(4)
    return _png(Image.new("RGB", (width, height), (red, green, blue)))


def _png(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
