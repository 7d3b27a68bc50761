"""What a peer serves: published files, hashed (BT-3.7-2), and the downloads that it has announced (BT-3.5-9)."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

import codec
from content import PIECE_BYTES, VALUE_BYTES, Layout, file_layout, piece_count
from primitives import blake3_merged
from values import Refusal

HAVE_PIECES = 4_096  # BT-3.2-5


class Share:
    """A content, whole or in part. What isn't here, or can't be read, is a Refusal."""

    layout: Layout
    root: bytes
    manifest: bytes | None = None
    outline: list[bytes]

    def has(self, piece: int) -> bool:
        raise NotImplementedError

    def read_piece(self, piece: int) -> bytes:
        raise NotImplementedError

    def check(self) -> None:
        """Raises Refusal where nothing can be had for now."""

    def described(self) -> dict:
        return {"file_bytes": self.layout.file_bytes, "root": self.root.hex(),
                "manifest_bytes": None if self.manifest is None else len(self.manifest),
                "is_complete": all(self.has(piece) for piece in range(self.layout.pieces))}

    def bitmap(self, first: int) -> str:
        """BT-3.2-5."""
        last = min(first + HAVE_PIECES, self.layout.pieces)
        bits = sum(1 << piece - first for piece in range(first, last) if self.has(piece))
        return bits.to_bytes((max(last - first, 0) + 7) // 8, "little").hex()


class PublishedFile(Share):
    """A file as it was when it was hashed."""

    def __init__(self, path: str):
        self.path = path
        self.is_changed = False  # and being hashed again (BT-3.7-3)
        with self.opened() as file:
            self.identity = identity(file)
            file_bytes = self.identity[2]
            whole = file_layout(file_bytes, None)
            values = []
            for nth in range(piece_count(file_bytes)):
                values.append(whole.files[0].value_of(nth, file.read(PIECE_BYTES)))
            self.outline = values if len(values) > 1 else []
            self.root = blake3_merged(values) if len(values) > 1 else values[0] if values else NO_BYTES_ROOT
            self.layout = file_layout(file_bytes, self.root)
            if identity(file) != self.identity:
                raise OSError("the file has changed while it was hashed")

    @contextlib.contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        # Looked at before it is opened, for opening a pipe would wait for a writer.
        if not stat.S_ISREG(os.stat(self.path).st_mode):
            raise OSError("only a file can be published")
        with open(self.path, "rb", buffering=0) as file:
            yield file

    def has(self, piece: int) -> bool:
        return True

    def check(self) -> None:
        if self.is_changed:
            raise Refusal(codec.CHANGED, "this file has changed and is being hashed again")

    def read_piece(self, piece: int) -> bytes:
        """Not a byte of a file that isn't the one which was hashed (BT-3.7-2)."""
        self.check()
        try:
            with self.opened() as file:
                data = os.pread(file.fileno(), self.layout.piece_bytes(piece), piece * PIECE_BYTES)
                self.is_changed = identity(file) != self.identity
        except OSError:
            raise Refusal(codec.UNREADABLE, "this file can't be read now") from None
        self.check()
        if len(data) != self.layout.piece_bytes(piece):
            raise Refusal(codec.UNREADABLE, "this file can't be read to its end")
        return data


def identity(file: BinaryIO) -> tuple[int, ...]:
    """BT-3.7-2."""
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def unit_range(first: int, count: int, units: int, most: int) -> range:
    """BT-3.2-3, BT-5.3-4."""
    if not 0 < count <= most or first + count > units:
        raise codec.Malformed("that range is empty, reaches past the end, or is too long")
    return range(first, first + count)


MOST_BLOCKS, MOST_VALUES, MOST_PIECES, MOST_PIECE_BYTES = 64, 1_048_576, 1_024, 64 << 20  # BT-5.3-4


def units(share: Share, request: dict, is_by_name: bool) -> Iterator[bytes]:
    """The units that a `Fetch` asks for (BT-3.2-3), or Malformed, or Refusal at any place."""
    part, first, count = request["part"], request["first"], request["count"]
    if part == 0:
        manifest = share.manifest or b""
        blocks = unit_range(first, count, piece_count(len(manifest)), MOST_BLOCKS)
        yield from (manifest[block * PIECE_BYTES:(block + 1) * PIECE_BYTES] for block in blocks)
    elif part == 1:
        values = unit_range(first, count, len(share.outline), MOST_VALUES)
        yield b"".join(share.outline[values.start:values.stop])
    elif part == 2:
        pieces = unit_range(first, count, share.layout.pieces, MOST_PIECES)
        if sum(share.layout.piece_bytes(piece) for piece in pieces) > MOST_PIECE_BYTES:
            raise codec.Malformed("that is more than 64 MiB")
        for piece in pieces:
            data = share.read_piece(piece)
            file, nth = share.layout.place(piece)
            yield data + (file.value_of(nth, data) if is_by_name else b"")  # BT-3.4-4
    else:
        raise codec.Malformed("there is no such part")


NO_BYTES_ROOT = file_layout(0, None).files[0].value_of(0, b"") if False else bytes.fromhex(
    "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262")
