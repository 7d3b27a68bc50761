"""Contents (3.1): pieces and their chaining values, the outline, and the manifest of a folder (3.6)."""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from primitives import CHUNK_BYTES, blake3, blake3_merged, blake3_subtree
from values import ENTRY_NAME, SIZE, Malformed, ProtocolError

PIECE_BYTES = 1 << 20  # BT-3.1-4
VALUE_BYTES = 32
MOST_PIECES = (1 << 32) - 1
MANIFEST_START = b"BTM1"  # BT-3.6-1, as are the kinds
FOLDER, FILE, EXECUTABLE_FILE = range(3)
MOST_MANIFEST_BYTES, MOST_ENTRIES = 64 << 20, 1_048_576  # BT-3.6-4, as are the next two
MOST_NAMES_IN_A_PATH = 64
MOST_FILE_BYTES = SIZE.most
MOST_PATH_BYTES = 4_096  # BT-3.6-1

Entry = tuple[int, tuple[str, ...], int, "bytes | None"]  # kind, path, size and root of a manifest's entry


class NotRight(ProtocolError):
    """What came isn't what the root names (BT-3.5-4)."""


class NoManifest(ProtocolError):
    """The right bytes, but they aren't a manifest (BT-3.6-4)."""


def piece_count(file_bytes: int) -> int:
    return (file_bytes + PIECE_BYTES - 1) // PIECE_BYTES


class ContentFile(NamedTuple):
    """One file of a content; a content that is no folder has one, without a path."""

    path: tuple[str, ...]
    file_bytes: int
    root: bytes | None  # not known while it is being hashed
    is_executable: bool
    first_piece: int
    first_value: int  # where its values begin in the outline

    def pieces(self) -> int:
        return piece_count(self.file_bytes)

    def values(self) -> int:
        """BT-3.1-7."""
        return self.pieces() if self.pieces() > 1 else 0

    def piece_bytes(self, nth: int) -> int:
        return min(PIECE_BYTES, self.file_bytes - nth * PIECE_BYTES)

    def value_of(self, nth: int, data: bytes) -> bytes:
        """What a piece is held against: its chaining value, or where it is the only one, its hash."""
        if self.pieces() == 1:
            return blake3(data)
        return blake3_subtree(data, nth * PIECE_BYTES // CHUNK_BYTES)  # BT-3.1-5


class Layout:
    """Where the pieces of a content are (BT-3.1-4), and what each is held against (BT-3.5-1)."""

    def __init__(self, files: list[ContentFile], folders: list[tuple[str, ...]] = ()):
        self.files, self.folders = files, folders
        self.first_pieces = [file.first_piece for file in files]
        self.file_bytes = sum(file.file_bytes for file in files)
        self.pieces = sum(file.pieces() for file in files)
        self.outline_values = sum(file.values() for file in files)

    def place(self, piece: int) -> tuple[ContentFile, int]:
        """The file of a piece, and which of its pieces that is."""
        # Of several files that begin there all but the last are empty.
        file = self.files[bisect.bisect_right(self.first_pieces, piece) - 1]
        return file, piece - file.first_piece

    def piece_bytes(self, piece: int) -> int:
        file, nth = self.place(piece)
        return file.piece_bytes(nth)

    def check_outline(self, outline: list[bytes]) -> None:
        """BT-3.1-6, BT-3.1-7."""
        for file in self.files:
            values = outline[file.first_value:file.first_value + file.values()]
            if file.values() and blake3_merged(values) != file.root:
                raise NotRight("the outline doesn't lead to the root")
            if file.file_bytes == 0 and file.root != blake3(b""):
                raise NotRight("that isn't the root of an empty file")

    def is_right(self, outline: list[bytes], piece: int, data: bytes) -> bool:
        """BT-3.5-3."""
        file, nth = self.place(piece)
        expected = outline[file.first_value + nth] if file.values() else file.root
        return file.value_of(nth, data) == expected


def file_layout(file_bytes: int, root: bytes | None) -> Layout:
    if piece_count(file_bytes) > MOST_PIECES:
        raise ProtocolError("a content has at most 2^32 - 1 pieces")
    return Layout([ContentFile((), file_bytes, root, False, 0, 0)])


def manifest_layout(manifest: bytes) -> Layout:
    """The files of a folder, or NoManifest."""
    if len(manifest) > MOST_MANIFEST_BYTES or not manifest.startswith(MANIFEST_START):
        raise NoManifest("a manifest begins with BTM1, and has at most 64 MiB")
    files: list[ContentFile] = []
    folders: list[tuple[str, ...]] = []
    known, before = {()}, []
    file_bytes = first_piece = first_value = 0
    for entries, entry in enumerate(read_entries(manifest), start=1):
        kind, path, size, root = entry
        order = order_of(entry)
        if entries > MOST_ENTRIES or order <= before or path[:-1] not in known:
            raise NoManifest("entries ascend, their folders have entries, and there are at most 1,048,576")
        before = order
        if kind == FOLDER:
            folders.append(path)
            known.add(path)
            continue
        files.append(ContentFile(path, size, root, kind == EXECUTABLE_FILE, first_piece, first_value))
        file_bytes, first_piece = file_bytes + size, first_piece + files[-1].pieces()
        first_value += files[-1].values()
        if file_bytes > MOST_FILE_BYTES or first_piece > MOST_PIECES:
            raise NoManifest("a folder has less than 2^53 bytes, and less than 2^32 pieces")
    return Layout(files, folders)


def write_manifest(entries: Iterable[Entry]) -> bytes:
    """BT-3.6-1, BT-3.6-3. The entries may come in any order."""
    manifest = bytearray(MANIFEST_START)
    for kind, path, file_bytes, root in sorted(entries, key=order_of):
        encoded = "/".join(path).encode("utf-8")
        manifest += struct.pack(">BH", kind, len(encoded)) + encoded
        if kind != FOLDER:
            manifest += struct.pack(">Q", file_bytes) + root
    return bytes(manifest)


def order_of(entry: Entry) -> list[bytes]:
    """BT-3.6-3: name by name, so that a folder comes before what is below it."""
    return [name.encode("utf-8") for name in entry[1]]


def read_entries(manifest: bytes) -> Iterator[Entry]:
    """BT-3.6-1."""
    offset = len(MANIFEST_START)

    def take(count: int) -> bytes:
        nonlocal offset
        offset += count
        if offset > len(manifest):
            raise NoManifest("the manifest ends within an entry")
        return manifest[offset - count:offset]

    while offset < len(manifest):
        kind = take(1)[0]
        if kind > EXECUTABLE_FILE:
            raise NoManifest("an entry is a folder, a file or an executable file")
        path_bytes = int.from_bytes(take(2), "big")
        path = read_path(take(path_bytes))
        yield (kind, path, 0, None) if kind == FOLDER else (kind, path, int.from_bytes(take(8), "big"), take(32))


def read_path(encoded: bytes) -> tuple[str, ...]:
    try:
        path = tuple(encoded.decode("utf-8").split("/"))
        for name in path:
            ENTRY_NAME.check(name)
    except (UnicodeDecodeError, Malformed) as error:
        raise NoManifest(f"a path isn't one: {error}") from None
    if len(encoded) > MOST_PATH_BYTES or len(path) > MOST_NAMES_IN_A_PATH:
        raise NoManifest("a path has at most 4,096 bytes and 64 names")
    return path
