"""Tickets (BT-6.7): the index makes them, who fetches shows them, and here a source checks them."""

from __future__ import annotations

import hmac
import struct
import threading
import time

from noise import Cipher
from primitives import blake3_derive_key, blake3_keyed

END_AND_NUMBER = struct.Struct(">QQ")
MOST_MILLISECONDS = 300_000  # BT-6.7-2
MOST_USED = 65_536  # BT-6.7-5
OLD_KEY_SECONDS = 300.0  # BT-6.7-6
MOST_KEYS = 16
SILENCE_SECONDS, GRACE_SECONDS = 7.0, 30.0  # BT-3.2-7


def ticket_key(device_cipher: Cipher, server_cipher: Cipher) -> bytes:
    """BT-6.7-1."""
    return blake3_derive_key("BitTrickle 1 ticket key", device_cipher.key + server_cipher.key)


def make_ticket(key: bytes, end_ms: int, number: int, device: bytes, target: str) -> bytes:
    """BT-6.7-3."""
    start = END_AND_NUMBER.pack(end_ms, number)
    return start + blake3_keyed(key, start + device + target.encode("utf-8"))[:16]


class TicketGate:
    """What a source knows to check tickets: keys, the index's clock, and which tickets were used."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.keys: list[tuple[bytes, float | None]] = []  # newest first, and when each was replaced
        self.used: set[bytes] = set()
        self.clock_ms, self.clock_was_told_at = 0, time.monotonic()
        self.silence = (0.0, 0.0)  # the last one that is over: from when, until when

    def add_key(self, key: bytes) -> None:
        """That of a new sealed session; the one before it stays for a while (BT-6.7-6)."""
        with self.lock:
            now = time.monotonic()
            older = [(old, now if replaced is None else replaced) for old, replaced in self.keys]
            self.keys = [(key, None)] + older[:MOST_KEYS - 1]

    def set_clock(self, clock_ms: int) -> None:
        with self.lock:
            now = time.monotonic()
            if now - self.clock_was_told_at >= SILENCE_SECONDS:
                self.silence = (self.clock_was_told_at, now)
            self.clock_ms, self.clock_was_told_at = clock_ms, now

    def is_good_still(self, until: float) -> bool:
        """Whether who was let in until then may still ask: in a silence of the index nobody gets a ticket (BT-3.2-7)."""
        with self.lock:
            now = time.monotonic()
            if now < until:
                return True
            if now - self.clock_was_told_at >= SILENCE_SECONDS:
                return until >= self.clock_was_told_at
            return until >= self.silence[0] and now < self.silence[1] + GRACE_SECONDS

    def now_ms(self) -> int:
        """The index's clock (BT-6.7-4)."""
        return self.clock_ms + int((time.monotonic() - self.clock_was_told_at) * 1000)

    def admit(self, ticket: bytes, device: bytes, target: str) -> int | None:
        """When the door closes that this ticket opens, this once (BT-6.7-4); None where it opens none."""
        with self.lock:
            now, now_ms = time.monotonic(), self.now_ms()
            self.keys = [(key, at) for key, at in self.keys if at is None or now - at < OLD_KEY_SECONDS]
            self.used = {used for used in self.used if end_of(used) > now_ms}
            end_ms, number = END_AND_NUMBER.unpack(ticket[:END_AND_NUMBER.size])
            good = any(hmac.compare_digest(ticket, make_ticket(key, end_ms, number, device, target))
                       for key, _ in self.keys)
            if not good or not now_ms < end_ms <= now_ms + MOST_MILLISECONDS:
                return None
            if ticket in self.used or len(self.used) >= MOST_USED:
                return None
            self.used.add(ticket)
            return end_ms


def end_of(ticket: bytes) -> int:
    return END_AND_NUMBER.unpack(ticket[:END_AND_NUMBER.size])[0]
