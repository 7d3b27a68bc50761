"""What a taker writes to until all of it is there and verified (BT-3.5-6, BT-3.6-6, BT-3.8-1).

No journal is kept: of a part that an earlier run has left, each piece is read and verified again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from content import PIECE_BYTES, ContentFile, Layout
from primitives import blake3
UMASK = os.umask(0o077)  # it can't be read without being set
os.umask(UMASK)
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def check_is_free(final_path: str) -> None:
    """What exists is never replaced. Asked early; that nothing is replaced is seen to again in the end."""
    if os.path.lexists(final_path):
        raise FileExistsError(f"{final_path} exists already")


class Part:
    """A file, or a folder with files, for its owner alone. What goes wrong is an OSError."""

    def __init__(self, final_path: str, target: str, is_folder: bool):
        self.final_path, self.is_folder = os.path.abspath(final_path), is_folder
        self.parent, final_name = os.path.split(self.final_path)
        self.id = blake3(f"{target}\n{final_name}".encode("utf-8"))[:8].hex()
        self.path = os.path.join(self.parent, f".bittrickle-{self.id}.part")
        if is_folder:
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.path, 0o700)
        flags = FOLDER_FLAGS if is_folder else os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        self.handle = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another download may have ended, and given it the final name, after it was opened here.
            if not os.path.samestat(os.fstat(self.handle), os.lstat(self.path)):
                raise BlockingIOError
        except OSError:
            os.close(self.handle)
            raise OSError("this is being fetched already") from None

    def close(self) -> None:
        os.close(self.handle)

    # --- While it fills ---

    def make_tree(self, layout: Layout) -> None:
        """Folders and empty files; nothing is followed out of the part."""
        if not self.is_folder:
            return
        self.check_case(layout)
        for path in layout.folders:
            with self.folder(path[:-1]) as parent, contextlib.suppress(FileExistsError):
                os.mkdir(path[-1], 0o777, dir_fd=parent)
        for file in layout.files:
            with self.opened(file):
                pass

    def check_case(self, layout: Layout) -> None:
        """BT-3.6-7."""
        if not os.path.lexists(os.path.join(self.parent, f".BITTRICKLE-{self.id}.PART")):
            return  # case is told apart here
        paths: set[tuple[str, ...]] = set()
        for path in [*layout.folders, *(file.path for file in layout.files)]:
            folded = tuple(name.lower() for name in path)
            if folded in paths:
                raise OSError(f"this disk doesn't tell case apart, and another name there is like {'/'.join(path)}")
            paths.add(folded)

    @contextlib.contextmanager
    def folder(self, path: tuple[str, ...]) -> Iterator[int]:
        with contextlib.ExitStack() as handles:
            handle = self.handle
            for name in path:
                handle = os.open(name, FOLDER_FLAGS, dir_fd=handle)
                handles.callback(os.close, handle)
            yield handle

    @contextlib.contextmanager
    def opened(self, file: ContentFile) -> Iterator[int]:
        if not self.is_folder:
            yield self.handle
            return
        mode = 0o777 if file.is_executable else 0o666
        with self.folder(file.path[:-1]) as parent:
            handle = os.open(file.path[-1], os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, mode, dir_fd=parent)
        try:
            yield handle
        finally:
            os.close(handle)

    def read(self, file: ContentFile, nth: int) -> bytes:
        """A piece, or less where there is less."""
        with self.opened(file) as handle:
            return os.pread(handle, file.piece_bytes(nth), nth * PIECE_BYTES)

    def write(self, file: ContentFile, nth: int, data: bytes) -> None:
        with self.opened(file) as handle:
            written = 0
            while written < len(data):
                written += os.pwrite(handle, data[written:], nth * PIECE_BYTES + written)

    # --- When all of it is there ---

    def finish(self, layout: Layout) -> None:
        """On disk, then under its final name, then that name on disk."""
        for file in layout.files:
            with self.opened(file) as handle:
                os.ftruncate(handle, file.file_bytes)
                if not self.is_folder:
                    os.fchmod(handle, 0o666 & ~UMASK)
                os.fsync(handle)
        if self.is_folder:
            for path in reversed(layout.folders):
                with self.folder(path) as handle:
                    os.fsync(handle)
            os.fchmod(self.handle, 0o777 & ~UMASK)
            os.fsync(self.handle)
            os.mkdir(self.final_path, 0o700)  # fails where the name is taken; the rename might not
            try:
                os.rename(self.path, self.final_path)
            except OSError:
                os.rmdir(self.final_path)
                raise
        else:
            os.link(self.path, self.final_path)  # fails, unlike a rename, where the name is taken
            os.unlink(self.path)
        fcntl.flock(self.handle, fcntl.LOCK_UN)
        parent = os.open(self.parent, FOLDER_FLAGS & ~os.O_NOFOLLOW)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
