"""A peer: its session at the index (part 2), what it shares, and what it fetches (part 3)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

import codec
import transfer
from download import Download
from file_server import FileServer
from identity import State
from index import Index
from part import check_is_free
from recall import resume_known
from seal import DatagramSession
from shares import Published, Share, StillChanging
from tickets import MOST_MILLISECONDS, TicketGate, ticket_key
from values import FILE_NAME, ProtocolError, Refusal

NO_FILTER = {"is_exact": False, "is_prefix": False, "is_online": False, "extension": None, "bytes_min": None,
             "bytes_max": None, "member": None, "root_prefix": None}
HASH_AGAIN_SECONDS = 1.0
RENEW_SECONDS = 60.0  # a ticket lasts for twice as long (BT-3.2-6)


class Peer:
    """A session at the index, what it offers, and its heartbeat.

    `commands` is held by whoever changes the session: a command, or a heartbeat that restores it.
    """

    def __init__(self, state: State, encoding: str, folder: str, renew_seconds: float = RENEW_SECONDS):
        self.device_secret, self.folder, self.renew_seconds = state.device_secret(), folder, renew_seconds
        pinned = state.pinned()
        if pinned is None:
            raise ProtocolError("this device hasn't joined a server yet: see join")
        self.offers: dict[str, Published] = {}  # by name, as last published
        self.downloads: dict[bytes, Download] = {}  # by root; those that are announced (BT-3.5-9)
        self.sent_on: list[Download] = []  # complete, and not announced any more
        self.changes = 0  # counts the requests that may have changed what the index knows
        self.commands = threading.RLock()
        self.logged_out = threading.Event()
        self.heartbeat_seconds = 2.0
        self.boot_id: str | None = None
        self.next_return, self.return_wait = 0.0, 0.0  # BT-2.4-2
        self.gate = TicketGate()
        self.index = Index(pinned, self.device_secret, encoding, self.greet)
        self.file_server = FileServer(self.index.local_host(), self.device_secret, self.gate, self.find_share,
                                      self.offers.get)

    def greet(self, session: DatagramSession) -> None:
        """The index makes tickets for us with the keys of this session from now on (BT-6.7-1)."""
        self.gate.add_key(ticket_key(session.sealing, session.opening))

    def path(self, name: str) -> str:
        FILE_NAME.check(name)  # so it is one path component, and can't lead out of the folder
        return os.path.join(self.folder, name)

    def find_share(self, target: str) -> Share | None:
        """By root alone (BT-3.7-1): what is offered here was hashed before, so nothing is offered without one."""
        found = [share for share in (*list(self.offers.values()), *list(self.downloads.values()), *self.sent_on)
                 if target == f"root:{share.root.hex()}"]
        unchanged = [share for share in found if not getattr(share, "is_changed", False)]
        return next(iter(unchanged or found), None)

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
        if self.boot_id not in (None, session["boot_id"]):
            with self.gate.lock:
                del self.gate.keys[1:]  # BT-6.7-6
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
                    if not self.logged_out.is_set() and self.may_return():
                        self.login()
                        self.publish_again()
            raise
        self.gate.set_clock(reply["clock_ms"])
        # Compared only when no request is or was under way since the heartbeat (BT-2.4-3).
        if self.commands.acquire(blocking=False):
            try:
                if self.changes == changes_before and reply["digest"] != digest(self.offers) \
                        and not self.logged_out.is_set() and self.may_return():
                    self.index.ask("Logout")
                    self.login()
                    self.publish_again()
            finally:
                self.commands.release()
        return reply

    def may_return(self) -> bool:
        """Not again and again to an index that forgets us each time (BT-2.4-2)."""
        now = time.monotonic()
        if now < self.next_return:
            return False
        if now >= self.next_return + 30:
            self.return_wait = 0.0
        self.return_wait = min(max(self.return_wait * 2, 0.25), 30.0)
        self.next_return = now + self.return_wait
        return True

    def publish_again(self) -> None:
        self.changes += 1
        known = resume_known(self.index, {name: offer_digest(name, share) for name, share in self.offers.items()})
        for batch in self.batches(known):
            try:
                self.index.ask("Publish", files=batch)
            except Refusal as refusal:
                if refusal.code != codec.LIMIT_REACHED:
                    raise
                # Kept, these would make the digests differ at every heartbeat, for ever.
                for offer in batch:
                    self.offers.pop(offer["name"], None)
                    print(f"{offer['name']}: no longer offered: {refusal}", file=sys.stderr)
        if self.downloads:
            self.announce()  # BT-2.12-1

    def batches(self, known: set[str]) -> Iterator[list[dict]]:
        """What is offered, and not known to be, in requests that fit a datagram (BT-2.1-5)."""
        batch: list[dict] = []
        for name, share in list(self.offers.items()):
            if name in known:
                continue
            try:
                codec.encode_payload("Publish", self.index.encoding, {"files": batch + [offer(name, share)]})
            except codec.Malformed:  # one more is too many
                yield batch
                batch = []
            batch.append(offer(name, share))
        if batch:
            yield batch

    def logout(self, patience_seconds: float = float("inf")) -> dict:
        self.logged_out.set()
        self.changes += 1
        answer = self.index.ask("Logout", patience_seconds)
        self.offers.clear()
        return answer

    # --- What is shared (BT-2.6, BT-2.12, BT-3.7) ---

    def publish(self, name: str) -> dict:
        """Hashed before it is offered, as BT-3.4-3 lets a peer choose."""
        share = self.hashed(name)
        with self.commands:
            answer = self.offer(name, share)
        return {**answer, "root": share.root.hex(), "left_out": share.left_out}

    def hashed(self, name: str) -> Published:
        """Without the lock, since it may take long."""
        def tell_change() -> None:
            threading.Thread(target=self.hash_again, args=(name,), daemon=True).start()

        return Published(self.path(name), tell_change)

    def offer(self, name: str, share: Published) -> dict:
        before = self.offers.get(name)
        self.offers[name] = share  # first here: who reads of it may fetch before we read the answer
        try:
            return self.index.ask("Publish", files=[offer(name, share)])
        except Exception:
            self.offers.pop(name)
            if before:
                self.offers[name] = before
            raise
        finally:
            self.changes += 1

    def unpublish(self, name: str) -> dict:
        with self.commands:
            try:
                answer = self.index.ask("Unpublish", names=[name])
                self.offers.pop(name, None)
                return answer
            finally:
                self.changes += 1

    def hash_again(self, name: str) -> None:
        """BT-3.7-3."""
        while name in self.offers:
            try:
                share = self.hashed(name)
                with self.commands:
                    if name in self.offers:
                        self.offer(name, share)
                return
            except (StillChanging, TimeoutError):
                time.sleep(HASH_AGAIN_SECONDS)
            except (OSError, ProtocolError, Refusal) as error:
                print(f"{name}: no longer offered: {error}", file=sys.stderr)
                with contextlib.suppress(OSError, ProtocolError, Refusal):
                    self.unpublish(name)
                return

    def announce(self) -> None:
        """What is told is everything that is announced from now on (BT-2.12-1)."""
        # Others get by without it: the sources that offer the content are listed all the same.
        with self.commands, contextlib.suppress(OSError, ProtocolError, Refusal):
            self.index.ask("Announce", roots=[root.hex() for root in self.downloads])

    # --- What others share (BT-2.7, BT-2.8, part 3) ---

    def listed(self, kind: str, entries: str, **fields: object) -> list[dict]:
        with self.commands:
            return self.index.all_entries(kind, entries, **fields)

    def search(self, text: str, **wanted: object) -> list[dict]:
        """The hits on all pages; `wanted` has fields of a filter."""
        return self.listed("Search", "hits", text=text, filter={**NO_FILTER, **wanted})

    def locate(self, target: str) -> list[dict]:
        return self.listed("Locate", "sources", target=target)

    def fetch(self, wanted: str) -> dict:
        """`NAME`, or `root:DIGITS NAME` where that name is listed with several contents."""
        root, name = None, wanted
        if wanted.startswith("root:"):
            root, _, name = wanted.partition(" ")
        path = self.path(name)
        hits = self.search(name, is_exact=True)
        hashed = {f"root:{hit['content']['root']}": hit for hit in hits if hit["content"]["root"]}
        if root is None and len(hashed) == 1:
            root = next(iter(hashed))
        if root in hashed:
            return self.fetch_content(hashed[root], path)
        if hashed:
            raise ProtocolError(f"several contents have this name: {' '.join(sorted(hashed))}")
        return self.fetch_unverified(name, path)

    def fetch_content(self, hit: dict, path: str) -> dict:
        download = None

        def announce() -> None:
            if download.root not in self.downloads:
                self.downloads[download.root] = download
                self.announce()

        download = Download(hit, path, lambda: self.locate(download.target()), announce,
                            self.renew_seconds)
        try:
            download.run(self.device_secret, self.index.encoding)
        finally:
            is_announced = download.root in self.downloads
            if is_announced and download.is_finished:
                self.send_on(download)
            else:
                download.close()
            if is_announced:
                del self.downloads[download.root]
                self.announce()
        return {"file_bytes": download.listed_bytes, "root": download.root.hex()}

    def send_on(self, download: Download) -> None:
        """To those who were fetching it, as long as their tickets last (BT-3.5-9)."""
        def end() -> None:
            self.sent_on.remove(download)
            download.close()

        self.sent_on.append(download)
        timer = threading.Timer(MOST_MILLISECONDS / 1000, end)
        timer.daemon = True
        timer.start()

    def fetch_unverified(self, name: str, path: str) -> dict:
        """From legacy sources alone (BT-4.3): what others are still hashing isn't fetched before they have."""
        sources = self.locate(f"name:{name}")
        error: Exception = ProtocolError("nobody who is online offers this, or it is still being hashed")
        for source in sources:
            if source["access"] is not None:
                continue
            try:
                return {"file_bytes": self.fetch_from_legacy(source, name, path), "root": None}
            except FileExistsError:
                raise
            except (OSError, ProtocolError) as another:
                error = another
        raise error

    def fetch_from_legacy(self, source: dict, name: str, path: str) -> int:
        """What came before a failure isn't kept (BT-4.3-4)."""
        check_is_free(path)
        # The leading dot keeps the name apart from every file name of the protocol (BT-2.1-3).
        with tempfile.NamedTemporaryFile(prefix=".incoming-", dir=self.folder) as file:
            file_bytes = transfer.fetch_legacy(source, name, file)
            file.flush()
            os.fsync(file.fileno())
            os.link(file.name, path)  # unlike a rename, fails where the name is taken
        return file_bytes


def offer(name: str, share: Published) -> dict:
    """BT-2.6."""
    return {"name": name, "file_bytes": share.layout.file_bytes, "root": share.root.hex(),
            "is_folder": share.manifest is not None}


def digest(offers: dict[str, Published]) -> str:
    """BT-2.4-3."""
    total = sum(offer_digest(name, share) for name, share in offers.items())
    return f"{total % (1 << 64):016x}"


def offer_digest(name: str, share: Published) -> int:
    is_folder = bytes((share.manifest is not None,))
    hashed = name.encode("utf-8") + b"\0" + share.layout.file_bytes.to_bytes(8, "big") + is_folder + share.root
    return int.from_bytes(hashlib.sha256(hashed).digest()[:8], "big")
