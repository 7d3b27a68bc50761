"""A download by root: what a taker verifies, from whom it asks, and what it serves meanwhile (3.5)."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import codec
from content import (MOST_MANIFEST_BYTES, PIECE_BYTES, VALUE_BYTES, Layout, NoManifest, NotRight, file_layout,
                     manifest_layout)
from noise import NotAuthentic
from part import Part, check_is_free
from primitives import blake3
from shares import HAVE_PIECES, MOST_VALUES, Share
from transfer import ATTEMPTS, MANIFEST, OUTLINE, PIECES, Connection
from values import ProtocolError, Refusal

PIECES_AT_ONCE = 16  # in one Fetch; a choice of this client
PAUSE_SECONDS = 1.0  # before the index is asked for sources again


class Ended(ProtocolError):
    """It ends early, and no source has lied (BT-3.5-8, BT-3.6-4)."""


@contextlib.contextmanager
def own_disk() -> Iterator[None]:
    """What goes wrong here is no source's fault."""
    try:
        yield
    except OSError as error:
        raise Ended(str(error)) from error


class Download(Share):
    """`locate()` gives the sources that are online, `tell_begun()` is called when there are verified pieces,
    but not all."""

    def __init__(self, hit: dict, final_path: str, locate: Callable[[], list[dict]], tell_begun: Callable[[], None],
                 renew_seconds: float):
        content = hit["content"]
        self.root, self.is_folder = bytes.fromhex(content["root"]), content["is_folder"]
        self.listed_bytes = content["file_bytes"]
        self.locate, self.tell_begun, self.renew_seconds = locate, tell_begun, renew_seconds
        self.manifest = None
        self.outline: list[bytes] = []
        self.is_prepared = self.is_finished = False
        self.verified: set[int] = set()
        check_is_free(final_path)
        self.final_path = final_path
        self.part: Part | None = None

    def target(self) -> str:
        return f"root:{self.root.hex()}"

    # --- As a source (BT-3.5-9) ---

    def has(self, piece: int) -> bool:
        return piece in self.verified

    def read_piece(self, piece: int) -> bytes:
        if not self.has(piece):
            raise Refusal(codec.NOT_HERE, "this piece isn't here yet")
        try:
            data = self.part.read(*self.layout.place(piece))
        except OSError:
            raise Refusal(codec.UNREADABLE, "this piece can't be read now") from None
        if self.is_finished and not self.layout.is_right(self.outline, piece, data):
            raise Refusal(codec.CHANGED, "this has changed since it was fetched")  # the file is the user's by now
        return data

    # --- What leads to the pieces (BT-3.5-1) ---

    def prepare(self, connection: Connection) -> bool:
        """Whether the source has all pieces; NotRight where it describes another content."""
        described = connection.describe()
        if (described["root"] != self.root.hex() or described["file_bytes"] != self.listed_bytes
                or (described["manifest_bytes"] is not None) != self.is_folder):
            raise NotRight("the source describes another content than the index")  # BT-3.5-2
        if not self.is_prepared:
            layout = self.fetch_layout(connection, described)
            with own_disk():
                disk = shutil.disk_usage(os.path.dirname(os.path.abspath(self.final_path)))
            if layout.file_bytes > disk.total:
                raise Ended("this is larger than the whole disk")
            outline: list[bytes] = []
            while len(outline) < layout.outline_values:
                count = min(layout.outline_values - len(outline), MOST_VALUES)
                outline += connection.fetch(OUTLINE, len(outline), [VALUE_BYTES] * count)
            layout.check_outline(outline)
            self.layout, self.outline = layout, outline
            with own_disk():
                self.part = Part(self.final_path, self.target(), self.is_folder)
                self.part.make_tree(layout)
                self.verify_what_is_there()
            if self.missing_bytes() > disk.free:
                raise Ended("there is no room for this on the disk")
            self.is_prepared = True
        return described["is_complete"]

    def fetch_layout(self, connection: Connection, described: dict) -> Layout:
        if not self.is_folder:
            return file_layout(self.listed_bytes, self.root)
        manifest_bytes = described["manifest_bytes"]
        if not 0 < manifest_bytes <= MOST_MANIFEST_BYTES:
            raise NotRight("a manifest has at most 64 MiB")
        blocks = [PIECE_BYTES] * (manifest_bytes // PIECE_BYTES)
        if manifest_bytes % PIECE_BYTES:
            blocks.append(manifest_bytes % PIECE_BYTES)
        manifest = b"".join(connection.fetch(MANIFEST, 0, blocks))
        if blake3(manifest) != self.root:
            raise NotRight("that isn't the folder's manifest")
        try:
            layout = manifest_layout(manifest)
        except NoManifest as error:
            raise Ended(str(error)) from error  # BT-3.6-4
        if layout.file_bytes != self.listed_bytes:
            raise NotRight("the folder has another size than the source says")
        self.manifest = manifest
        return layout

    def verify_what_is_there(self) -> None:
        """From an earlier run (BT-3.8-4)."""
        for piece in range(self.layout.pieces):
            data = self.part.read(*self.layout.place(piece))
            if len(data) == self.layout.piece_bytes(piece) and self.layout.is_right(self.outline, piece, data):
                self.verified.add(piece)

    def missing(self) -> list[int]:
        return [piece for piece in range(self.layout.pieces) if piece not in self.verified]

    def missing_bytes(self) -> int:
        return sum(map(self.layout.piece_bytes, self.missing()))

    # --- The pieces (BT-3.5-3) ---

    def take(self, connection: Connection) -> None:
        """All that is missing and that this source has."""
        is_complete = self.prepare(connection)
        wanted = self.missing()
        if self.verified and wanted:
            self.tell_begun()
        if not is_complete:
            there: set[int] = set()
            for first in sorted({piece - piece % HAVE_PIECES for piece in wanted}):
                there |= connection.ask_have(first, min(HAVE_PIECES, self.layout.pieces - first))
            wanted = [piece for piece in wanted if piece in there]
        for run in runs(wanted):
            if time.monotonic() - connection.ticket_shown_at > self.renew_seconds:
                self.renew(connection)
            for piece, data in zip(run, connection.fetch(PIECES, run[0], list(map(self.layout.piece_bytes, run)))):
                if not self.layout.is_right(self.outline, piece, data):
                    raise NotRight(f"piece {piece} isn't right")
                with own_disk():
                    self.part.write(*self.layout.place(piece), data)
                self.verified.add(piece)
                if len(self.verified) < self.layout.pieces:
                    self.tell_begun()

    def renew(self, connection: Connection) -> None:
        """BT-3.2-6. A source that the index doesn't list any more may still answer, until the ticket ends."""
        for source in self.locate():
            if source["access"] and source["access"]["device"] == connection.device:
                return connection.renew(source["access"]["ticket"])

    def close(self) -> None:
        if self.part:
            self.part.close()

    # --- From whom (BT-3.5-4, BT-3.5-5) ---

    def run(self, device_secret: bytes, encoding: str) -> None:
        """From the sources there are, until all pieces are here; or the last thing that went wrong is raised."""
        passed_over: set[str] = set()  # devices
        problem: Exception = Ended("nobody who is online offers this")
        while True:
            sources = [source for source in self.locate()
                       if source["access"] and source["access"]["device"] not in passed_over
                       and ATTEMPTS.may_begin(source["address"])]
            if not sources:
                raise problem
            for source in sources:
                verified_before = len(self.verified)
                ATTEMPTS.begin(source["address"])
                try:
                    with Connection(source, self.target(), device_secret, encoding) as connection:
                        try:
                            self.take(connection)
                            ATTEMPTS.answered(source["address"])
                        except ProtocolError as error:
                            # What isn't authentic, or is cut, was changed on the way.
                            if not isinstance(error, (Ended, NotAuthentic, codec.FramingLost)):
                                passed_over.add(connection.device)  # it has lied
                            raise
                except Ended:
                    raise
                except (Refusal, OSError, ProtocolError) as error:
                    problem = error
                    if isinstance(error, Refusal) and error.code not in (codec.BUSY, codec.NOT_HERE):
                        passed_over.add(source["access"]["device"])
                    print(f"{self.target()}: {source['address']}: {error}", file=sys.stderr)
                if len(self.verified) > verified_before:
                    ATTEMPTS.proved(source["address"])
                if self.is_prepared and not self.missing():
                    with own_disk():
                        self.part.finish(self.layout)
                    self.is_finished = True
                    return
            time.sleep(PAUSE_SECONDS)


def runs(pieces: Sequence[int]) -> Iterator[list[int]]:
    """Pieces that follow each other, for one Fetch each."""
    run: list[int] = []
    for piece in pieces:
        if run and (piece != run[-1] + 1 or len(run) == PIECES_AT_ONCE):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run
