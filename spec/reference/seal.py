"""What stands outside a seal, sealed sessions over UDP, and records over TCP (part 6)."""

from __future__ import annotations

import os
import struct

import codec
from noise import KEY_BYTES, Cipher, Initiator, NotAuthentic, Responder
from primitives import TAG_BYTES
from values import TARGET, ProtocolError

DATAGRAM_PROLOGUE = b"BitTrickle datagrams"  # BT-6.3-2
STREAM_PROLOGUE = b"BitTrickle stream"

NONCE_BYTES, COOKIE_BYTES, COUNTER_BYTES = 16, 24, 8
INDEX = struct.Struct(">I")
COUNTER = struct.Struct(">Q")
HELLO_BYTES = 256
BODY_BYTES = {  # BT-6.1-5: the fewest and the most bytes behind the header, over UDP
    "Hello": (HELLO_BYTES - codec.HEADER.size, codec.MOST_DATAGRAM_BYTES - codec.HEADER.size),
    "Retry": (NONCE_BYTES + COOKIE_BYTES + KEY_BYTES,) * 2,
    "Initiate": (NONCE_BYTES + COOKIE_BYTES + 204,) * 2,
    "Accept": (52, 52),
    "Sealed": (COUNTER_BYTES + codec.HEADER.size + TAG_BYTES, codec.MOST_DATAGRAM_BYTES - codec.HEADER.size),
    "Reset": (COUNTER_BYTES, COUNTER_BYTES),
}
STREAM_INITIATE_BYTES, STREAM_ACCEPT_BYTES = 390, 48  # BT-6.6, behind the header
STREAM_PAYLOAD_BYTES = 294  # BT-6.3-4
TICKET_BYTES = 32
TARGET_LENGTH = struct.Struct(">H")

WINDOW = 256  # BT-6.5-4, BT-6.5-5
MOST_FRAMES = 2**32  # BT-6.5-6
RENEW_AFTER_FRAMES = 2**31
REKEY_AFTER = 65_536  # BT-6.6-4


def header(kind: str, index: int, body_bytes: int) -> bytes:
    """BT-6.1-3."""
    return codec.HEADER.pack(codec.MAGIC, codec.VERSION, codec.KINDS[kind], codec.ENCODINGS["raw"], index, body_bytes)


def outside(kind: str, index: int, body: bytes) -> bytes:
    return header(kind, index, len(body)) + body


def read_outside(datagram: bytes) -> tuple[str, int, bytes]:
    """Kind, index and what stands behind the header (BT-6.1-4); `Versions` too (BT-1.7-3)."""
    if len(datagram) < codec.HEADER.size:
        raise ProtocolError("a datagram has at least a header")
    head = codec.decode_header(datagram[:codec.HEADER.size])
    body = datagram[codec.HEADER.size:]
    kind = codec.KIND_NAMES.get(head.kind)
    fewest, most = (2, 2) if kind == "Versions" else BODY_BYTES.get(kind, (1, 0))
    if not (codec.is_spoken(head) and head.encoding == codec.ENCODINGS["raw"]
            and head.payload_bytes == len(body) and fewest <= len(body) <= most):
        raise ProtocolError("that doesn't stand outside a seal")
    return kind, head.request_id, body


# --- A device's handshake over UDP (BT-6.4) ---------------------------------------------------------------


class DatagramHandshake:
    """What a device sends and takes, from `Hello` to `Accept`. When it does so is index.py's."""

    def __init__(self, index: int | None = None, nonce: bytes | None = None):
        self.index = INDEX.unpack(os.urandom(INDEX.size))[0] if index is None else index
        self.nonce = nonce or os.urandom(NONCE_BYTES)
        self.initiate: bytes | None = None
        self.noise: Initiator | None = None

    def hello(self) -> bytes:
        return outside("Hello", self.index, self.nonce.ljust(HELLO_BYTES - codec.HEADER.size, b"\0"))

    def read_retry(self, body: bytes) -> tuple[bytes, bytes]:
        """The cookie, and the key that the server says is its own (BT-6.4-8)."""
        if body[:NONCE_BYTES] != self.nonce:
            raise ProtocolError("that answers another Hello")
        return body[NONCE_BYTES:-KEY_BYTES], body[-KEY_BYTES:]

    def make_initiate(self, cookie: bytes, device_secret: bytes, server_key: bytes,
                      ephemeral_secret: bytes | None = None) -> bytes:
        """Made once: it is sent again as it is (BT-6.4-7)."""
        head = header("Initiate", self.index, BODY_BYTES["Initiate"][0]) + self.nonce + cookie
        self.noise = Initiator(DATAGRAM_PROLOGUE + head, device_secret, server_key, ephemeral_secret)
        self.initiate = head + self.noise.write_message_1(bytes(108))  # BT-6.3-3
        return self.initiate

    def read_accept(self, body: bytes) -> DatagramSession:
        """The session, or NotAuthentic; the true `Accept` can still come then (BT-6.3-6)."""
        server_index = INDEX.unpack(self.noise.read_message_2(body))[0]
        device_cipher, server_cipher = self.noise.split()
        return DatagramSession(device_cipher, server_cipher, self.index, server_index)


# --- A sealed session over UDP (BT-6.5) -------------------------------------------------------------------


class ReplayWindow:
    """Which counters were taken (BT-6.5-4)."""

    def __init__(self) -> None:
        self.highest = -1
        self.taken: set[int] = set()  # of the 256 up to the highest

    def is_new(self, counter: int) -> bool:
        return counter > self.highest - WINDOW and counter not in self.taken

    def take(self, counter: int) -> None:
        """Only once the tag was right."""
        self.highest = max(self.highest, counter)
        self.taken.add(counter)
        self.taken = {taken for taken in self.taken if taken > self.highest - WINDOW}


class DatagramSession:
    """A session as one of its sides has it; by default as the device."""

    def __init__(self, sealing: Cipher, opening: Cipher, own_index: int, other_index: int):
        self.sealing, self.opening = sealing, opening
        self.own_index, self.other_index = own_index, other_index
        self.sealed_frames = 0
        self.window = ReplayWindow()

    def seal(self, frame: bytes) -> bytes:
        """A `Sealed` with one frame (BT-6.5-1, BT-6.5-2)."""
        if self.sealed_frames >= MOST_FRAMES:
            raise ProtocolError("this key has sealed all that it may")  # BT-6.5-6
        counter = self.sealed_frames
        self.sealed_frames += 1
        head = header("Sealed", self.other_index, COUNTER.size + len(frame) + TAG_BYTES) + COUNTER.pack(counter)
        return head + self.sealing.seal(counter, head, frame)

    def open(self, body: bytes) -> bytes:
        """The frame in the body of a `Sealed` that has our index. A counter is taken once."""
        counter = COUNTER.unpack(body[:COUNTER.size])[0]
        if not self.window.is_new(counter) or counter >= MOST_FRAMES:
            raise NotAuthentic("that counter was taken, is too old or too high")
        head = header("Sealed", self.own_index, len(body)) + body[:COUNTER.size]
        frame = self.opening.open(counter, head, body[COUNTER.size:])
        self.window.take(counter)
        return frame

    def believes_reset(self, index: int, body: bytes) -> bool:
        """BT-6.5-5."""
        counter = COUNTER.unpack(body)[0]
        return index == self.other_index and self.sealed_frames - WINDOW <= counter < self.sealed_frames


# --- Between peers, over TCP (BT-6.6) ---------------------------------------------------------------------


def write_stream_payload(ticket: bytes, target: str) -> bytes:
    """BT-6.3-4."""
    encoded = target.encode("utf-8")
    return (ticket + TARGET_LENGTH.pack(len(encoded)) + encoded).ljust(STREAM_PAYLOAD_BYTES, b"\0")


def read_stream_payload(payload: bytes) -> tuple[bytes, str]:
    """Ticket and target, or Malformed."""
    ticket, rest = payload[:TICKET_BYTES], payload[TICKET_BYTES + TARGET_LENGTH.size:]
    target_bytes, = TARGET_LENGTH.unpack_from(payload, TICKET_BYTES)
    encoded, zeros = rest[:target_bytes], rest[target_bytes:]
    if target_bytes > len(rest) or any(zeros):
        raise ProtocolError("a target of the length that is said stands there, and then zeros")
    try:
        return ticket, TARGET.check(encoded.decode("utf-8"))
    except UnicodeDecodeError:
        raise ProtocolError("the target isn't UTF-8") from None


STREAM_INITIATE_HEADER = header("Initiate", 0, STREAM_INITIATE_BYTES)  # there is one that is right (BT-6.6)
STREAM_ACCEPT_HEADER = header("Accept", 0, STREAM_ACCEPT_BYTES)


def stream_initiator(device_secret: bytes, source_key: bytes, ephemeral_secret: bytes | None = None) -> Initiator:
    return Initiator(STREAM_PROLOGUE + STREAM_INITIATE_HEADER, device_secret, source_key, ephemeral_secret)


def stream_responder(device_secret: bytes, ephemeral_secret: bytes | None = None) -> Responder:
    return Responder(STREAM_PROLOGUE + STREAM_INITIATE_HEADER, device_secret, ephemeral_secret)


class Direction:
    """The records in one direction of a connection: none is lost, so that each side counts for itself."""

    def __init__(self, cipher: Cipher):
        self.cipher = cipher
        self.counter = 0

    def next_counter(self) -> int:
        if self.counter and self.counter % REKEY_AFTER == 0:
            self.cipher = self.cipher.rekeyed()  # BT-6.6-4
        self.counter += 1
        return self.counter - 1

    def seal(self, frame: bytes) -> bytes:
        head = header("Sealed", 0, len(frame) + TAG_BYTES)
        counter = self.next_counter()
        return head + self.cipher.seal(counter, head, frame)

    def open(self, head: bytes, sealed: bytes) -> bytes:
        counter = self.next_counter()
        return self.cipher.open(counter, head, sealed)


def record_bytes(head: bytes, most_payload_bytes: int) -> int:
    """How many bytes follow the header of a `Sealed` (BT-6.6-3); no more than the longest frame needs."""
    fields = codec.decode_header(head)
    fewest = codec.HEADER.size + TAG_BYTES
    if head[:8] != STREAM_SEALED_START or not fewest <= fields.payload_bytes <= fewest + most_payload_bytes:
        raise codec.FramingLost("a Sealed is expected")
    return fields.payload_bytes


STREAM_SEALED_START = header("Sealed", 0, 0)[:8]
