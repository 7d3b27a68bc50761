"""A small BitTrickle client, written from the specification alone, for Python 3.9 and later.

    python3 client.py join INVITE --user NAME --password-file FILE --state-dir DIR
    python3 client.py run --state-dir DIR [--encoding json|bincode] [--dir DIR]

`join` makes this device the member's and keeps the server's key. `run` logs in, then reads commands from standard
input, one a line: `publish NAME`, `unpublish NAME`, `search TEXT`, `locate NAME`, `peers`, `files`, `fetch NAME`,
`heartbeat`, `logout`. Each is answered with one JSON object on one line.

To be read beside the specification: values.py and codec.py (parts 1 and 2), index.py and this file (part 2),
transfer.py and file_server.py (part 3 and, for `GET`, part 4), identity.py, seal.py, stream.py and tickets.py (part 6),
noise.py and primitives.py (the documents that part 6 builds on).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import codec
import transfer
from file_server import FileServer
from identity import State, read_invite
from index import HandshakeFailed, Index
from seal import DatagramSession
from tickets import TicketGate, ticket_key
from values import FILE_NAME, ProtocolError, Refusal

FAREWELL_SECONDS = 2.0
ENROL_SECONDS = 30.0  # BT-2.11-5


class Peer:
    """A session at the index, what it offers, and its heartbeat.

    `commands` is held by whoever changes the session: a command, or a heartbeat that restores it.
    """

    def __init__(self, state: State, encoding: str, folder: str):
        self.device_secret, self.folder = state.device_secret(), folder
        pinned = state.pinned()
        if pinned is None:
            raise ProtocolError("this device hasn't joined a server yet: see join")
        self.offers: dict[str, int] = {}  # file name -> size, as last published
        self.changes = 0  # counts the requests that may have changed what the index knows
        self.commands = threading.RLock()
        self.logged_out = threading.Event()
        self.heartbeat_seconds = 2.0
        self.boot_id: str | None = None
        self.gate = TicketGate()
        self.index = Index(pinned, self.device_secret, encoding, self.greet)
        self.file_server = FileServer(self.index.local_host(), self.device_secret, self.gate, self.find_path)

    def greet(self, session: DatagramSession) -> None:
        """The index makes tickets for us with the keys of this session from now on (BT-6.7-1)."""
        self.gate.add_key(ticket_key(session.sealing, session.opening))

    def path(self, name: str) -> str:
        FILE_NAME.check(name)  # so it is one path component, and can't lead out of the folder
        return os.path.join(self.folder, name)

    def find_path(self, name: str) -> str | None:
        return self.path(name) if name in self.offers else None

    # --- The session (BT-2.3, BT-2.4) ---

    def start(self) -> dict:
        self.index.connect()
        session = self.login()
        self.index.keep(self.restore)
        threading.Thread(target=self.send_heartbeats, daemon=True).start()
        return session

    def login(self) -> dict:
        session = self.index.ask("Login", transfer_port=self.file_server.port)
        self.gate.set_clock(session["clock_ms"])
        self.boot_id = session["boot_id"]
        self.heartbeat_seconds = min(max(session["heartbeat_ms"], 200), 600_000) / 1000  # BT-2.4-1
        self.index.silence_seconds = session["offline_after_ms"] / 1000  # BT-6.5-6
        return session

    def restore(self) -> None:
        """After a new handshake (BT-2.3-7). The index may have been restarted (BT-2.4-4)."""
        if self.logged_out.is_set():
            return
        boot_id_before = self.boot_id
        self.login()  # without the lock: a command that is under way waits for this
        if self.boot_id != boot_id_before:
            with self.commands:
                self.publish_again()

    def send_heartbeats(self) -> None:
        due = time.monotonic()
        while True:
            due += self.heartbeat_seconds * random.uniform(0.9, 1.1)  # BT-2.4-1
            if self.logged_out.wait(max(0.0, due - time.monotonic())):
                return
            # Nothing here ends the heartbeats: the next one may find the index again.
            with contextlib.suppress(Refusal, TimeoutError, ProtocolError):
                self.heartbeat()
            due = max(due, time.monotonic() - self.heartbeat_seconds)  # no burst after a long restoring

    def heartbeat(self) -> dict:
        changes_before = self.changes
        try:
            reply = self.index.ask("Heartbeat", self.heartbeat_seconds)
        except Refusal as refusal:
            if refusal.code == codec.NO_SESSION:  # BT-2.4-2
                with self.commands:
                    if not self.logged_out.is_set():
                        self.login()
                        self.publish_again()
            raise
        self.gate.set_clock(reply["clock_ms"])
        # Compared only when no request is or was under way since the heartbeat (BT-2.4-3).
        if self.commands.acquire(blocking=False):
            try:
                if self.changes == changes_before and reply["digest"] != digest(self.offers) \
                        and not self.logged_out.is_set():
                    self.index.ask("Logout")
                    self.login()
                    self.publish_again()
            finally:
                self.commands.release()
        return reply

    def publish_again(self) -> None:
        self.changes += 1
        for batch in self.batches():
            try:
                self.index.ask("Publish", files=batch)
            except Refusal as refusal:
                if refusal.code != codec.LIMIT_REACHED:
                    raise
                # Kept, these would make the digests differ at every heartbeat, for ever.
                for offer in batch:
                    del self.offers[offer["name"]]

    def batches(self) -> Iterator[list[dict]]:
        """What is offered, in requests that fit a datagram (BT-2.1-5)."""
        batch = []
        for name, file_bytes in list(self.offers.items()):
            offer = {"name": name, "file_bytes": file_bytes}
            try:
                codec.encode_payload("Publish", self.index.encoding, {"files": batch + [offer]})
            except codec.Malformed:  # one more is too many
                yield batch
                batch = []
            batch.append(offer)
        if batch:
            yield batch

    def logout(self, patience_seconds: float = float("inf")) -> dict:
        self.logged_out.set()
        self.changes += 1
        answer = self.index.ask("Logout", patience_seconds)
        self.offers.clear()
        return answer

    # --- Files (BT-2.6 to BT-2.9, part 3) ---

    def publish(self, name: str) -> dict:
        status = os.stat(self.path(name))
        if not stat.S_ISREG(status.st_mode):
            raise OSError("only a file can be published")
        file_bytes = status.st_size
        before = dict(self.offers)
        self.offers[name] = file_bytes  # first here: who reads of it may fetch before we read the answer
        try:
            return self.index.ask("Publish", files=[{"name": name, "file_bytes": file_bytes}])
        except Exception:
            self.offers = before
            raise
        finally:
            self.changes += 1

    def unpublish(self, name: str) -> dict:
        try:
            answer = self.index.ask("Unpublish", names=[name])
            self.offers.pop(name, None)
            return answer
        finally:
            self.changes += 1

    def fetch(self, name: str) -> dict:
        path = self.path(name)
        error = ProtocolError("nobody who is online offers this file")
        with self.commands:
            sources = self.index.all_entries("Locate", "sources", name=name)
        # Without the lock: a long transfer mustn't keep a heartbeat from restoring the session.
        for source in sources:
            try:
                return {"file_bytes": transfer.fetch(source, name, self.device_secret, self.index.encoding, path)}
            except FileExistsError:
                raise
            except (Refusal, OSError, ProtocolError) as refusal_or_error:  # BT-5.2: ask another source
                error = refusal_or_error
        raise error

    def run(self, command: str, argument: str) -> object:
        if command == "fetch" and argument:
            return self.fetch(argument)
        with self.commands:
            if command == "search":  # the empty query hits every name (BT-2.7-1)
                return self.index.all_entries("Search", "hits", text=argument)
            with_name = {
                "publish": self.publish,
                "unpublish": self.unpublish,
                "locate": lambda name: self.index.all_entries("Locate", "sources", name=name),
            }
            alone = {
                "peers": lambda: self.index.all_entries("ListPeers", "members"),
                "files": lambda: self.index.all_entries("ListFiles", "files"),
                "heartbeat": self.heartbeat,
                "logout": self.logout,
            }
            if argument and command in with_name:
                return with_name[command](argument)
            if not argument and command in alone:
                return alone[command]()
        raise ProtocolError("no such command, or not with these words")


def digest(names: Iterable[str]) -> str:
    """BT-2.4-3."""
    firsts = (hashlib.sha256(name.encode("utf-8")).digest()[:8] for name in names)
    return f"{sum(int.from_bytes(first, 'big') for first in firsts) % (1 << 64):016x}"


def report(command: str, action: Callable[[], object]) -> bool:
    """Prints what came of a command, on one line; returns whether it went well."""
    try:
        outcome = {"ok": True, "result": action()}
    except Refusal as refusal:
        outcome = {"ok": False, "code": refusal.code, "sentence": str(refusal)}
    except (OSError, ProtocolError, HandshakeFailed) as error:
        outcome = {"ok": False, "code": None, "sentence": str(error)}
    print(json.dumps({"command": command, **outcome}), flush=True)
    return outcome["ok"]


def join(arguments: argparse.Namespace) -> dict:
    """BT-6.2-4, BT-2.11."""
    invite = read_invite(arguments.invite)
    state = State(arguments.state_dir)
    state.check_pinned(invite)
    with open(arguments.password_file, encoding="utf-8", errors="surrogateescape") as file:
        password = file.read().removesuffix("\n")
    index = Index(invite, state.device_secret(), arguments.encoding)
    index.connect()  # proves the server's key; the password is sent to nobody else
    answer = index.ask("Enrol", ENROL_SECONDS, member=arguments.user, password=password)
    state.pin(invite)
    return answer


def run(arguments: argparse.Namespace) -> bool:
    sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")  # what isn't UTF-8 is refused as a name
    peer = None

    def start() -> dict:
        nonlocal peer
        peer = Peer(State(arguments.state_dir), arguments.encoding, arguments.dir)
        return peer.start()

    if not report("login", start):
        return False
    for line in sys.stdin:
        command, _, argument = line.rstrip("\n").partition(" ")
        if command:
            report(command, lambda: peer.run(command, argument))
    if not peer.logged_out.is_set():
        # Nobody waits for the outcome: the index ends a silent session by itself (BT-2.3-4).
        with contextlib.suppress(Refusal, TimeoutError, ProtocolError):
            peer.logout(FAREWELL_SECONDS)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description="A small BitTrickle client.")
    for_both = argparse.ArgumentParser(add_help=False)
    for_both.add_argument("--state-dir", required=True, metavar="DIR")
    for_both.add_argument("--encoding", choices=("json", "bincode"), default="json")
    commands = parser.add_subparsers(dest="command", required=True)
    joining = commands.add_parser("join", parents=[for_both])
    joining.add_argument("invite", metavar="INVITE")
    joining.add_argument("--user", required=True, metavar="NAME")
    joining.add_argument("--password-file", required=True, metavar="FILE")
    running = commands.add_parser("run", parents=[for_both])
    running.add_argument("--dir", default=".", metavar="DIR")
    arguments = parser.parse_args()
    went_well = report("join", lambda: join(arguments)) if arguments.command == "join" else run(arguments)
    sys.exit(0 if went_well else 1)


if __name__ == "__main__":
    main()
