"""A small BitTrickle client, written from the specification alone.

    python3 client.py --server ADDR:PORT --user NAME --password-file FILE [--encoding json|bincode] [--dir DIR]

It logs in, then reads commands from standard input, one a line: `publish NAME`, `unpublish NAME`,
`search TEXT`, `locate NAME`, `peers`, `files`, `fetch NAME`, `heartbeat`, `logout`. Each is answered with one
JSON object on one line. Part 2 of the specification is here, part 3 in transfer.py.
"""

import argparse
import contextlib
import hashlib
import ipaddress
import json
import os
import queue
import random
import secrets
import socket
import stat
import sys
import threading
import time

import codec
import transfer
from transfer import Refusal
from values import FILE_NAME, split_address

SENDINGS = 5  # BT-2.2-2, as is the next
FIRST_WAIT_SECONDS = 0.5
FAREWELL_SECONDS = 2.0
MOST_ENTRIES = 64  # of a Publish, BT-2.6


class Index:
    """Requests and their answers on one UDP socket (BT-2.2-1)."""

    def __init__(self, server, encoding):
        host, port = split_address(server)
        if not host.is_loopback:
            raise codec.ProtocolError("sessions are not sealed yet: the index is on a loopback address")  # BT-1.8-1
        self.encoding = encoding
        self.socket = socket.socket(socket.AF_INET6 if host.version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
        # Connected, the socket takes the local address from which the server is reached, a free port, and
        # datagrams of the server alone.
        self.socket.connect((str(host), port))
        self.pending = {}
        self.pending_lock = threading.Lock()
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self):
        """Gives every answer to who waits for it; all others are dropped (BT-1.6-3)."""
        while True:
            try:
                frame = codec.decode_datagram(self.socket.recv(65_536))
            except (OSError, codec.ProtocolError):
                continue  # OSError: nobody listened at the server's port; the resending sees to it
            with self.pending_lock:
                wanted, answers = self.pending.get(frame.request_id, (None, None))
            if answers and frame.kind in (wanted, "Refused", "Versions"):
                answers.put(frame)

    def local_host(self):
        return ipaddress.ip_address(self.socket.getsockname()[0])

    def ask(self, kind, patience_seconds=float("inf"), **fields):
        """The value of the answer. Sends the same frame until it comes (BT-2.2-2, BT-2.2-3)."""
        wanted = codec.KIND_NAMES[codec.KINDS[kind] + codec.FIRST_ANSWER]  # BT-5.1-2
        answers = queue.SimpleQueue()
        with self.pending_lock:
            # Drawn, not counted: a late answer to an older request then doesn't meet a new one.
            while (request_id := secrets.randbits(32)) in self.pending:
                pass
            self.pending[request_id] = (wanted, answers)
        try:
            frame = codec.encode_frame(kind, self.encoding, request_id, fields)
            answer = self.send_until_answered(frame, answers, time.monotonic() + patience_seconds)
        finally:
            with self.pending_lock:
                del self.pending[request_id]
        if answer.kind == "Refused":
            raise Refusal(answer.value["code"], answer.value["sentence"])
        if answer.kind == "Versions":
            raise codec.ProtocolError("the index speaks versions {lowest} to {highest}".format(**answer.value))
        return answer.value

    def send_until_answered(self, frame, answers, give_up):
        for sending in range(SENDINGS):
            # A datagram that can't be sent is as good as one that is lost.
            with contextlib.suppress(OSError):
                self.socket.send(frame)
            # Spread out, so that peers who lost the index together don't come back together.
            wait = FIRST_WAIT_SECONDS * 2 ** sending * random.uniform(0.75, 1.25)
            wait = max(0.0, min(wait, give_up - time.monotonic()))
            with contextlib.suppress(queue.Empty):
                return answers.get(timeout=wait)
            if time.monotonic() >= give_up:
                break
        raise TimeoutError("the index doesn't answer")

    def all_entries(self, kind, entries, **fields):
        """The entries of all pages (BT-2.5)."""
        found, after = [], None
        while True:
            page = self.ask(kind, after=after, **fields)
            found += page[entries]
            if page["next"] is None:
                return found
            if page["next"] == after:
                raise codec.ProtocolError("the index repeats a page")
            after = page["next"]


class Peer:
    """A session at the index, what it offers, and its heartbeat.

    `commands` is held by whoever changes the session: a command, or a heartbeat that restores it.
    """

    def __init__(self, index, member, password, folder):
        self.index, self.member, self.password, self.folder = index, member, password, folder
        self.offers = {}  # file name -> size, as last published
        self.changes = 0  # counts the requests that may have changed what the index knows
        self.commands = threading.RLock()
        self.logged_out = threading.Event()
        self.heartbeat_seconds = None
        self.file_server = transfer.FileServer(index.local_host(), self.find_path)

    def path(self, name):
        FILE_NAME.check(name)  # so it is one path component, and can't lead out of the folder
        return os.path.join(self.folder, name)

    def find_path(self, name):
        return self.path(name) if name in self.offers else None

    # --- The session (BT-2.3, BT-2.4) ---

    def login(self):
        session = self.index.ask("Login", member=self.member, password=self.password,
                                 transfer_port=self.file_server.port)
        self.heartbeat_seconds = session["heartbeat_ms"] / 1000
        return session

    def start_heartbeats(self):
        threading.Thread(target=self.send_heartbeats, daemon=True).start()

    def send_heartbeats(self):
        due = time.monotonic()
        while True:
            due += self.heartbeat_seconds * random.uniform(0.9, 1.1)  # BT-2.4-1
            if self.logged_out.wait(max(0.0, due - time.monotonic())):
                return
            # Nothing here ends the heartbeats: the next one may find the index again.
            with contextlib.suppress(Refusal, TimeoutError, codec.ProtocolError):
                self.heartbeat(patience_seconds=self.heartbeat_seconds)
            due = max(due, time.monotonic() - self.heartbeat_seconds)  # no burst after a long restoring

    def heartbeat(self, patience_seconds=float("inf")):
        changes_before = self.changes
        try:
            reply = self.index.ask("Heartbeat", patience_seconds)
        except Refusal as refusal:
            if refusal.code == codec.NO_SESSION:  # BT-2.4-2
                with self.commands:
                    if not self.logged_out.is_set():
                        self.login()
                        self.publish_again()
            raise
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

    def publish_again(self):
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

    def batches(self):
        """What is offered, in requests that fit a datagram (BT-1.4-1, BT-2.6)."""
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

    def logout(self, patience_seconds=float("inf")):
        self.logged_out.set()
        self.changes += 1
        answer = self.index.ask("Logout", patience_seconds)
        self.offers.clear()
        return answer

    # --- Files (BT-2.6 to BT-2.9, part 3) ---

    def publish(self, name):
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

    def unpublish(self, name):
        try:
            answer = self.index.ask("Unpublish", names=[name])
            self.offers.pop(name, None)
            return answer
        finally:
            self.changes += 1

    def fetch(self, name):
        path = self.path(name)
        error = codec.ProtocolError("nobody who is online offers this file")
        with self.commands:
            sources = self.index.all_entries("Locate", "sources", name=name)
        # Without the lock: a long transfer mustn't keep a heartbeat from restoring the session.
        for source in sources:
            try:
                return {"file_bytes": transfer.fetch(source, name, self.index.encoding, path)}
            except FileExistsError:
                raise
            except (Refusal, OSError, codec.ProtocolError) as refusal_or_error:  # BT-5.2: ask another source
                error = refusal_or_error
        raise error

    def run(self, command, argument):
        if command == "fetch" and argument:
            return self.fetch(argument)
        with self.commands:
            match command, bool(argument):
                case "publish", True:
                    return self.publish(argument)
                case "unpublish", True:
                    return self.unpublish(argument)
                case "search", _:  # the empty query hits every name (BT-2.7-1)
                    return self.index.all_entries("Search", "hits", text=argument)
                case "locate", True:
                    return self.index.all_entries("Locate", "sources", name=argument)
                case "peers", False:
                    return self.index.all_entries("ListPeers", "members")
                case "files", False:
                    return self.index.all_entries("ListFiles", "files")
                case "heartbeat", False:
                    return self.heartbeat()
                case "logout", False:
                    return self.logout()
        raise codec.ProtocolError("no such command, or not with these words")


def digest(names):
    """BT-2.4-3."""
    firsts = (hashlib.sha256(name.encode("utf-8")).digest()[:8] for name in names)
    return f"{sum(int.from_bytes(first, 'big') for first in firsts) % (1 << 64):016x}"


def report(command, action):
    """Prints what came of a command, on one line; returns whether it went well."""
    try:
        outcome = {"ok": True, "result": action()}
    except Refusal as refusal:
        outcome = {"ok": False, "code": refusal.code, "sentence": str(refusal)}
    except (OSError, codec.ProtocolError) as error:
        outcome = {"ok": False, "code": None, "sentence": str(error)}
    print(json.dumps({"command": command, **outcome}), flush=True)
    return outcome["ok"]


def main():
    parser = argparse.ArgumentParser(description="A small BitTrickle client.")
    parser.add_argument("--server", required=True, metavar="ADDR:PORT")
    parser.add_argument("--user", required=True, metavar="NAME")
    parser.add_argument("--password-file", required=True, metavar="FILE")
    parser.add_argument("--encoding", choices=("json", "bincode"), default="json")
    parser.add_argument("--dir", default=".", metavar="DIR")
    arguments = parser.parse_args()
    sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")  # what isn't UTF-8 is refused as a name

    peer = None

    def start():
        nonlocal peer
        with open(arguments.password_file, encoding="utf-8", errors="surrogateescape") as file:
            password = file.read().removesuffix("\n")
        peer = Peer(Index(arguments.server, arguments.encoding), arguments.user, password, arguments.dir)
        return peer.login()

    if not report("login", start):
        sys.exit(1)
    peer.start_heartbeats()
    for line in sys.stdin:
        command, _, argument = line.rstrip("\n").partition(" ")
        if command:
            report(command, lambda: peer.run(command, argument))
    if not peer.logged_out.is_set():
        # Nobody waits for the outcome: the index ends a silent session by itself (BT-2.3-4).
        with contextlib.suppress(Refusal, TimeoutError, codec.ProtocolError):
            peer.logout(FAREWELL_SECONDS)


if __name__ == "__main__":
    main()
