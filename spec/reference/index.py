"""A device's sealed session with the index, and the requests that travel in it: one UDP socket (parts 2 and 6)."""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable

import codec
import seal
from identity import Invite, both_fingerprints
from values import ProtocolError, Refusal

SENDINGS = 5  # BT-2.2-2, as is the next
FIRST_WAIT_SECONDS = 0.5
TOO_FAST_WAIT_SECONDS, MOST_TOO_FAST_WAIT_SECONDS, MOST_TOO_FAST = 0.01, 0.2, 300  # BT-2.2-7
SILENCE_SECONDS = 7.0  # BT-6.5-6, as is the next; the index then says what it wants
MOST_AGE_SECONDS = 3_600.0
RESET_PAUSE_SECONDS = 1.0  # BT-6.5-5


def about(seconds: float) -> float:
    """Up to a quarter more or less, so that peers who lost the index together don't come back together."""
    return seconds * random.uniform(0.75, 1.25)


class HandshakeFailed(Exception):
    """For good: another attempt would end so too."""


class Index:
    """`greet(session)` is called for each new sealed session, before anything is sent in it."""

    def __init__(self, invite: Invite, device_secret: bytes, encoding: str,
                 greet: Callable[[seal.DatagramSession], None] = lambda session: None):
        self.server_key, self.device_secret, self.encoding, self.greet = invite.key, device_secret, encoding, greet
        family, _, _, _, address = socket.getaddrinfo(*invite.address(), type=socket.SOCK_DGRAM)[0]
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        # Connected, the socket takes the local address from which the server is reached, a free port, and
        # datagrams of the server alone.
        self.socket.connect(address)
        self.lock = threading.Lock()  # for the next three
        self.session: seal.DatagramSession | None = None
        self.reset_believed_at = float("-inf")
        self.pending: dict[int, tuple[str, queue.SimpleQueue]] = {}
        self.handshake_answers: queue.SimpleQueue = queue.SimpleQueue()
        self.logged_in = threading.Event()  # other requests wait for Login (BT-2.3-7)
        self.must_renew = threading.Event()
        self.silence_seconds = SILENCE_SECONDS
        self.last_heard = self.session_since = 0.0
        threading.Thread(target=self.receive, daemon=True).start()

    def local_host(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        return ipaddress.ip_address(self.socket.getsockname()[0])

    def send(self, datagram: bytes) -> None:
        # One that can't be sent is as good as one that is lost.
        with contextlib.suppress(OSError):
            self.socket.send(datagram)

    # --- What comes in ---

    def receive(self) -> None:
        while True:
            try:
                kind, index, body = seal.read_outside(self.socket.recv(65_536))
                if kind == "Sealed":
                    self.take_sealed(index, body)
                elif kind == "Reset":
                    with self.lock:
                        self.take_reset(index, body)
                else:
                    self.handshake_answers.put((kind, index, body))
            except (OSError, ProtocolError):
                continue  # OSError: nobody listened at the server's port; what can't be read is passed over

    def take_reset(self, index: int, body: bytes) -> None:
        """BT-6.5-5."""
        now = time.monotonic()
        if (self.session and self.session.believes_reset(index, body)
                and now - self.reset_believed_at > RESET_PAUSE_SECONDS):
            self.reset_believed_at = now
            self.must_renew.set()

    def take_sealed(self, index: int, body: bytes) -> None:
        """Gives every answer to who waits for it; all others are dropped (BT-1.6-3)."""
        with self.lock:
            if self.session is None or self.session.own_index != index:
                return
            opened = self.session.open(body)
            self.last_heard = time.monotonic()
        frame = codec.decode_frame(*codec.split_frame(opened))
        with self.lock:
            wanted, answers = self.pending.get(frame.request_id, (None, None))
        if answers and frame.kind in (wanted, "Refused", "Versions"):
            answers.put(frame)

    # --- Handshakes (BT-6.4) ---

    def connect(self) -> None:
        """A new session, in the place of the one before (BT-6.5-9)."""
        session = self.handshake()
        self.greet(session)
        with self.lock:
            self.logged_in.clear()
            self.must_renew.clear()
            self.session = session
            self.last_heard = self.session_since = time.monotonic()

    def handshake(self) -> seal.DatagramSession:
        """BT-6.4-6."""
        attempt = seal.DatagramHandshake()
        initiates = 0
        for sending in range(SENDINGS):
            if initiates == 2:  # the server may not know its cookie any more
                attempt, initiates = seal.DatagramHandshake(), 0
            if attempt.initiate:
                initiates += 1
            self.send(attempt.initiate or attempt.hello())
            deadline = time.monotonic() + about(FIRST_WAIT_SECONDS * 2 ** sending)
            while (wait := deadline - time.monotonic()) > 0:
                with contextlib.suppress(queue.Empty, ProtocolError):  # what is wrong is passed over
                    kind, index, body = self.handshake_answers.get(timeout=wait)
                    if index != attempt.index:
                        continue
                    if kind == "Accept" and attempt.initiate:
                        return attempt.read_accept(body)
                    if kind == "Retry" and not attempt.initiate:
                        cookie, key = attempt.read_retry(body)
                        if key == self.server_key:
                            self.send(attempt.make_initiate(cookie, self.device_secret, key))
                            initiates = 1
                        elif self.session is None:
                            raise HandshakeFailed(both_fingerprints(self.server_key, key))  # BT-6.2-6
                    if kind == "Versions" and self.session is None:
                        raise HandshakeFailed(other_versions(body[0], body[1]))  # BT-1.7-3
        raise TimeoutError("the index doesn't answer")

    def keep(self, restore: Callable[[], None]) -> None:
        """Makes new sessions when they are needed (BT-6.5-6), from now on; `restore` logs in again."""
        threading.Thread(target=self.renew, args=(restore,), daemon=True).start()

    def renew(self, restore: Callable[[], None]) -> None:
        while True:
            self.must_renew.wait(0.25)
            now = time.monotonic()
            if not (self.must_renew.is_set() or now - self.last_heard > self.silence_seconds
                    or now - self.session_since > MOST_AGE_SECONDS
                    or self.session.sealed_frames > seal.RENEW_AFTER_FRAMES):
                continue
            # One that fails is followed by another; the old session goes on meanwhile.
            with contextlib.suppress(TimeoutError):
                self.connect()
                with contextlib.suppress(Refusal, TimeoutError, ProtocolError):
                    restore()
                self.logged_in.set()

    # --- Requests (BT-2.2) ---

    def ask(self, kind: str, patience_seconds: float = float("inf"), **fields: object) -> dict:
        """The value of the answer. Sends the same frame until it comes (BT-2.2-2, BT-2.2-3)."""
        wanted = codec.KIND_NAMES[codec.KINDS[kind] + codec.FIRST_ANSWER]  # BT-5.1-2
        give_up = time.monotonic() + patience_seconds
        answers: queue.SimpleQueue = queue.SimpleQueue()
        with self.lock:
            # Drawn, not counted: a late answer to an older request then doesn't meet a new one.
            while (request_id := secrets.randbits(32)) in self.pending:
                pass
            self.pending[request_id] = (wanted, answers)
        try:
            frame = codec.encode_frame(kind, self.encoding, request_id, fields)
            for times in range(1 + MOST_TOO_FAST):
                answer = self.send_until_answered(kind, frame, answers, give_up)
                too_fast = answer.kind == "Refused" and answer.value["code"] == codec.TOO_FAST
                if not too_fast or kind in ("Heartbeat", "Enrol"):
                    break
                wait = TOO_FAST_WAIT_SECONDS * 2 ** min(times, 10)
                time.sleep(about(min(wait, MOST_TOO_FAST_WAIT_SECONDS)))  # BT-2.2-7
        finally:
            with self.lock:
                del self.pending[request_id]
            if kind == "Login":
                self.logged_in.set()
        if answer.kind == "Refused":
            raise Refusal(answer.value["code"], answer.value["sentence"])
        if answer.kind == "Versions":
            raise ProtocolError(other_versions(**answer.value))
        return answer.value

    def send_until_answered(self, kind: str, frame: bytes, answers: queue.SimpleQueue, give_up: float) -> codec.Frame:
        sendings = 1 if kind == "Heartbeat" else SENDINGS  # BT-2.4-1: the next one comes soon
        for sending in range(sendings):
            if kind not in ("Login", "Enrol"):
                self.logged_in.wait()
            with self.lock:
                sealed = self.session.seal(frame)  # each time anew, and perhaps in a new session
            self.send(sealed)
            wait = about(FIRST_WAIT_SECONDS * 2 ** sending)
            if sending == sendings - 1 and kind in ("Heartbeat", "Enrol"):
                wait = give_up - time.monotonic()  # BT-2.11-5: 30 s in all for Enrol
            wait = max(0.0, min(wait, give_up - time.monotonic()))
            with contextlib.suppress(queue.Empty):
                return answers.get(timeout=wait)
            if time.monotonic() >= give_up:
                break
        raise TimeoutError("the index doesn't answer")

    def all_entries(self, kind: str, entries: str, **fields: object) -> list[dict]:
        """The entries of all pages (BT-2.5)."""
        found, after = [], None
        while True:
            page = self.ask(kind, after=after, **fields)
            found += page[entries]
            if page["next"] is None:
                return found
            if page["next"] == after:
                raise ProtocolError("the index repeats a page")
            after = page["next"]


def other_versions(lowest: int, highest: int) -> str:
    return f"the index speaks versions {lowest} to {highest}"
