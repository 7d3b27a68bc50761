"""What a peer serves: published files and folders, hashed (BT-3.7-2), and the downloads it has announced (BT-3.5-9)."""

from __future__ import annotations

import contextlib
import os
import stat
import unicodedata
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

import codec
from content import (EXECUTABLE_FILE, FILE, FOLDER, PIECE_BYTES, ContentFile, Entry, Layout, file_layout,
                     manifest_layout, piece_count, write_manifest)
from primitives import blake3, blake3_merged
from values import ENTRY_NAME, Malformed, Refusal

HAVE_PIECES = 4_096  # BT-3.2-5
MOST_BLOCKS, MOST_VALUES, MOST_PIECES, MOST_PIECE_BYTES = 64, 1_048_576, 1_024, 64 << 20  # BT-5.3-4


class StillChanging(OSError):
    """The file has changed while it was hashed."""


class Share:
    """A content, whole or in part. What isn't here, or can't be read, is a Refusal."""

    layout: Layout
    root: bytes
    manifest: bytes | None  # of a folder alone
    outline: list[bytes]

    def has(self, piece: int) -> bool:
        raise NotImplementedError

    def read_piece(self, piece: int) -> bytes:
        raise NotImplementedError

    def check(self) -> None:
        """Raises Refusal where nothing can be had for now."""

    def described(self) -> dict:
        """BT-3.2-4."""
        return {"file_bytes": self.layout.file_bytes, "root": self.root.hex(),
                "manifest_bytes": None if self.manifest is None else len(self.manifest),
                "is_complete": all(self.has(piece) for piece in range(self.layout.pieces))}

    def bitmap(self, first: int) -> str:
        """BT-3.2-5."""
        if first % HAVE_PIECES:
            raise codec.Malformed("a Have begins with a multiple of 4,096")
        last = min(first + HAVE_PIECES, self.layout.pieces)
        bits = sum(1 << piece - first for piece in range(first, last) if self.has(piece))
        return bits.to_bytes((max(last - first, 0) + 7) // 8, "little").hex()


def units(share: Share, request: dict) -> Iterator[bytes]:
    """The units that a `Fetch` asks for (BT-3.2-3), one by one or together; or Malformed, or Refusal at any place."""
    part, first, count = request["part"], request["first"], request["count"]
    share.check()
    if part == 0:
        manifest = share.manifest or b""
        for block in unit_range(first, count, piece_count(len(manifest)), MOST_BLOCKS):
            yield manifest[block * PIECE_BYTES:(block + 1) * PIECE_BYTES]
    elif part == 1:
        values = unit_range(first, count, len(share.outline), MOST_VALUES)
        yield b"".join(share.outline[values.start:values.stop])
    elif part == 2:
        pieces = unit_range(first, count, share.layout.pieces, MOST_PIECES)
        if sum(share.layout.piece_bytes(piece) for piece in pieces) > MOST_PIECE_BYTES:
            raise codec.Malformed("that is more than 64 MiB")
        yield from map(share.read_piece, pieces)
    else:
        raise codec.Malformed("there is no such part")


def unit_range(first: int, count: int, units_in_all: int, most: int) -> range:
    """BT-3.2-3, BT-5.3-4."""
    if not 0 < count <= most or first + count > units_in_all:
        raise codec.Malformed("that range is empty, reaches past the end, or is too long")
    return range(first, first + count)


# --- What is published ------------------------------------------------------------------------------------


class HashedFile(NamedTuple):
    path: str
    identity: tuple[int, ...]
    file_bytes: int
    root: bytes
    values: list[bytes]  # BT-3.1-7: none for one piece
    is_executable: bool


class Published(Share):
    """A file or a folder as it was when it was hashed. `tell_change()` is called when it isn't that any more."""

    def __init__(self, path: str, tell_change: Callable[[], None] = lambda: None):
        self.tell_change, self.is_changed = tell_change, False
        self.left_out: list[dict] = []
        if stat.S_ISDIR(os.lstat(path).st_mode):
            entries = list(self.entries(path, ()))
            self.files = {entry[1]: hashed for entry, hashed in entries}
            self.manifest = write_manifest(entry for entry, _ in entries)
            self.layout, self.root = manifest_layout(self.manifest), blake3(self.manifest)
        else:
            hashed = hash_file(path)
            self.files, self.manifest = {(): hashed}, None
            self.layout, self.root = file_layout(hashed.file_bytes, hashed.root), hashed.root
        self.outline = [value for file in self.layout.files for value in self.files[file.path].values]

    def entries(self, folder: str, path: tuple[str, ...]) -> Iterator[tuple[Entry, HashedFile | None]]:
        """What goes into the manifest, and what is told to the user instead (BT-3.6-5)."""
        for found in os.scandir(folder):
            name = unicodedata.normalize("NFC", found.name)  # BT-2.1-13; of two spellings this client takes either
            inner = (*path, name)
            try:
                ENTRY_NAME.check(name)
                if found.is_dir(follow_symlinks=False):
                    yield (FOLDER, inner, 0, None), None
                    yield from self.entries(found.path, inner)
                elif found.is_file(follow_symlinks=False):
                    hashed = hash_file(found.path)  # by its path on disk, however that is spelled
                    kind = EXECUTABLE_FILE if hashed.is_executable else FILE
                    yield (kind, inner, hashed.file_bytes, hashed.root), hashed
                else:
                    raise Malformed("a link, or neither a file nor a folder")
            except Malformed as reason:
                self.left_out.append({"path": "/".join(inner), "reason": str(reason)})

    def has(self, piece: int) -> bool:
        return True

    def check(self) -> None:
        if self.is_changed:
            raise Refusal(codec.CHANGED, "this has changed and is being hashed again")  # BT-3.7-3

    def read_piece(self, piece: int) -> bytes:
        """Not a byte of a file that isn't the one which was hashed (BT-3.7-2)."""
        self.check()
        file, nth = self.layout.place(piece)
        hashed = self.files[file.path]
        try:
            with opened(hashed.path) as handle:
                data = os.pread(handle.fileno(), file.piece_bytes(nth), nth * PIECE_BYTES)
                is_same = identity(handle) == hashed.identity
        except OSError:
            raise Refusal(codec.UNREADABLE, "this file can't be read now") from None
        if not is_same:
            self.is_changed = True
            self.tell_change()
        self.check()
        if len(data) != file.piece_bytes(nth):
            raise Refusal(codec.UNREADABLE, "this file can't be read to its end")
        return data


def hash_file(path: str) -> HashedFile:
    with opened(path) as handle:
        status, before = os.fstat(handle.fileno()), identity(handle)
        whole = ContentFile((), status.st_size, None, False, 0, 0)
        values = [whole.value_of(nth, handle.read(PIECE_BYTES)) for nth in range(whole.pieces())]
        if identity(handle) != before:
            raise StillChanging("the file has changed while it was hashed")
    root = blake3_merged(values) if len(values) > 1 else values[0] if values else blake3(b"")  # BT-3.1-7
    return HashedFile(path, before, status.st_size, root, values if len(values) > 1 else [],
                      bool(status.st_mode & stat.S_IXUSR))


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """A regular file. To open a pipe would wait for a writer, were it not for O_NONBLOCK."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as handle:
        if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
            raise OSError("only a file or a folder can be published")
        yield handle


def identity(handle: BinaryIO) -> tuple[int, ...]:
    """BT-3.7-2."""
    status = os.fstat(handle.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
