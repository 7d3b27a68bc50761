"""Who is who: a device's key, fingerprints, invites, and what a device keeps on disk (BT-6.2)."""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple

from primitives import blake3
from values import ProtocolError

KEY_DIGITS = re.compile("[0-9a-f]{64}")
INVITE = re.compile(r"bt://((?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):[0-9]+)/([0-9a-f]{64})")  # BT-6.2-4
MOST_HOST_PORT_BYTES = 259


class Invite(NamedTuple):
    host_port: str
    key: bytes

    def __str__(self) -> str:
        return f"bt://{self.host_port}/{self.key.hex()}"

    def address(self) -> tuple[str, int]:
        host, port = self.host_port.rsplit(":", 1)
        return host.strip("[]"), int(port)


def read_invite(text: str) -> Invite:
    match = INVITE.fullmatch(text.strip())
    if not match or len(match[1]) > MOST_HOST_PORT_BYTES:
        raise ProtocolError("that is no invite: bt://HOST:PORT/KEY")
    invite = Invite(match[1], bytes.fromhex(match[2]))
    if not 1 <= invite.address()[1] <= 65_535:
        raise ProtocolError("an invite has a port from 1 to 65535")
    return invite


def fingerprint(key: bytes) -> str:
    """BT-6.2-3."""
    digits = blake3(key)[:16].hex()
    return "-".join(digits[start:start + 4] for start in range(0, 32, 4))


def both_fingerprints(expected: bytes, shown: bytes) -> str:
    """BT-6.2-6."""
    return (f"the server's key should have the fingerprint {fingerprint(expected)}, "
            f"but it has {fingerprint(shown)}")


class State:
    """The folder with this device's secret key, and the one server that it has joined (BT-6.2-2)."""

    def __init__(self, folder: str):
        self.folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        check_private(folder)

    def device_secret(self) -> bytes:
        path = os.path.join(self.folder, "key")
        if not os.path.lexists(path):
            write_private(path, os.urandom(32).hex())
        digits = read_private(path)
        if not KEY_DIGITS.fullmatch(digits):
            raise ProtocolError(f"{path} holds no key")
        return bytes.fromhex(digits)

    def pinned(self) -> Invite | None:
        path = os.path.join(self.folder, "server")
        return read_invite(read_private(path)) if os.path.lexists(path) else None

    def check_pinned(self, invite: Invite) -> None:
        """BT-6.2-6. A pinned server is known by HOST:PORT, without regard to capitals (BT-6.2-5)."""
        pinned = self.pinned()
        if pinned is None:
            return
        if pinned.host_port.lower() != invite.host_port.lower():
            raise ProtocolError("this folder belongs to another server; take a new one")
        if pinned.key != invite.key:
            raise ProtocolError(both_fingerprints(pinned.key, invite.key))

    def pin(self, invite: Invite) -> None:
        if self.pinned() is None:
            write_private(os.path.join(self.folder, "server"), str(invite))


def check_private(path: str) -> None:
    status = os.stat(path)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        mode = "700" if stat.S_ISDIR(status.st_mode) else "600"
        raise ProtocolError(f"others may use {path}; mend it with: chmod {mode} {path}")


def read_private(path: str) -> str:
    check_private(path)
    with open(path, encoding="ascii") as file:
        return file.read().removesuffix("\n")


def write_private(path: str, line: str) -> None:
    """Whole or not at all, and never over another: it gets its name when all of it is on disk."""
    temporary_path = f"{path}.new-{os.getpid()}"
    handle = os.open(temporary_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "w", encoding="ascii") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary_path, path)
    finally:
        os.unlink(temporary_path)
