"""A taker's connection to one source over TCP: sealed (parts 3 and 6), or with legacy `GET` (BT-4.3)."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import codec
import seal
from stream import FIRST_SECONDS, SealedStream, Stream
from values import ProtocolError, Refusal, split_address

CONNECT_SECONDS = 5.0  # BT-5.4-1
MOST_LEGACY_FILE_BYTES = 1 << 40  # BT-4.3-4
MANIFEST, OUTLINE, PIECES = range(3)  # BT-3.2-3


class Connection:
    """To a source of `Located` that speaks frames, for one target. Requests are sent one at a time."""

    def __init__(self, source: dict, target: str, device_secret: bytes, encoding: str):
        self.encoding, self.request_id = encoding, 0
        self.device = source["access"]["device"]
        self.socket, self.stream = connect(source)
        try:
            self.sealed = self.shake_hands(source["access"], target, device_secret)
        except BaseException:
            self.close()
            raise

    def shake_hands(self, access: dict, target: str, device_secret: bytes) -> SealedStream:
        """Nothing more is sent before the source has proved the key that the index named (BT-6.6-7)."""
        initiator = seal.stream_initiator(device_secret, bytes.fromhex(access["device"]))
        payload = seal.write_stream_payload(bytes.fromhex(access["ticket"]), target)
        self.stream.send(seal.STREAM_INITIATE_HEADER + initiator.write_message_1(payload))
        self.ticket_shown_at = time.monotonic()
        if self.stream.receive_exactly(codec.HEADER.size) != seal.STREAM_ACCEPT_HEADER:
            raise codec.FramingLost("an Accept is expected")
        initiator.read_message_2(self.stream.receive_exactly(seal.STREAM_ACCEPT_BYTES))
        return SealedStream(self.stream, *initiator.split(), codec.MOST_DATA_BYTES)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def send(self, kind: str, fields: dict) -> None:
        self.request_id += 1
        self.stream.expect_within(FIRST_SECONDS)
        self.sealed.send_frame(kind, self.encoding, self.request_id, fields)

    def receive(self, kind: str) -> object:
        """The value of an answer, or Refusal, or ProtocolError for anything else (BT-3.3-2, BT-3.3-3)."""
        frame = codec.decode_frame(*self.sealed.receive_frame())
        if frame.kind == "Versions":
            raise ProtocolError(f"the source speaks versions {frame.value['lowest']} to {frame.value['highest']}")
        if frame.request_id != self.request_id:
            raise ProtocolError("the source answered another request")
        if frame.kind == "Refused":
            raise Refusal(frame.value["code"], frame.value["sentence"])
        if frame.kind != kind:
            raise ProtocolError(f"the source sent a {frame.kind} out of place")
        return frame.value

    def describe(self) -> dict:
        self.send("Describe", {})
        return self.receive("Described")

    def ask_have(self, first: int, pieces: int) -> set[int]:
        """The pieces that are there, of these from `first` on (BT-3.2-5)."""
        self.send("AskHave", {"first": first})
        have = self.receive("Have")
        bits = bytes.fromhex(have["bitmap"])
        if have["first"] != first or len(bits) != (pieces + 7) // 8 or int.from_bytes(bits, "little") >> pieces:
            raise ProtocolError("that Have doesn't fit the content")
        return {first + piece for piece in range(pieces) if bits[piece // 8] >> piece % 8 & 1}

    def renew(self, ticket: str) -> None:
        """BT-3.2-6."""
        self.send("Renew", {"ticket": ticket})
        self.receive("Renewed")
        self.ticket_shown_at = time.monotonic()

    def fetch(self, part: int, first: int, unit_bytes: Sequence[int]) -> Iterator[bytes]:
        """Unit after unit, of which each has so many bytes. A refusal can come behind any of them (BT-3.3)."""
        self.send("Fetch", {"part": part, "first": first, "count": len(unit_bytes)})
        received, remaining = bytearray(), sum(unit_bytes)
        has_begun = False
        for wanted in unit_bytes:
            while len(received) < wanted:
                data = self.receive("Data")
                if not has_begun:
                    self.stream.travel()
                    has_begun = True
                remaining -= len(data)
                if remaining < 0:
                    raise ProtocolError("the source sent more bytes than the range has")
                received += data
            yield bytes(received[:wanted])
            del received[:wanted]


class Attempts:
    """Connections that were made, of all downloads together, and have brought nothing (BT-3.5-5)."""

    MOST_OF_ADDRESS, MOST_PORTS, PERIOD_SECONDS = 3, 16, 600.0

    def __init__(self) -> None:
        self.made: dict[str, list[float]] = {}  # by address
        self.known: set[str] = set()  # addresses that have brought a piece

    def may_begin(self, address: str) -> bool:
        if address in self.known:
            return True
        now = time.monotonic()
        self.made = {at: made for at, made in self.made.items() if now - made[0] < self.PERIOD_SECONDS}
        host = address.rsplit(":", 1)[0]
        others = [at for at in self.made if at != address and at.rsplit(":", 1)[0] == host]
        return len(others) < self.MOST_PORTS and len(self.made.get(address, ())) < self.MOST_OF_ADDRESS

    def begin(self, address: str) -> None:
        self.made.setdefault(address, []).append(time.monotonic())

    def answered(self, address: str) -> None:
        """All that was asked for was answered, though it may have been nothing."""
        if self.made.get(address):
            self.made[address].pop()
        if not self.made.get(address, True):
            del self.made[address]

    def proved(self, address: str) -> None:
        self.made.pop(address, None)
        self.known.add(address)


ATTEMPTS = Attempts()


def connect(source: dict) -> tuple[socket.socket, Stream]:
    host, port = split_address(source["address"])
    if source["access"] is None and not host.is_loopback:
        raise ProtocolError("the legacy format is spoken to loopback addresses only")  # BT-4.3-5
    connection = socket.create_connection((str(host), port), timeout=CONNECT_SECONDS)
    stream = Stream(connection)
    stream.expect_within(FIRST_SECONDS)
    return connection, stream


def fetch_legacy(source: dict, name: str, file: BinaryIO) -> int:
    """BT-4.3-4: the end of the stream is all that says the file is there."""
    if name.split() != [name]:
        raise ProtocolError("the legacy format can't ask for a name with white space")
    connection, stream = connect(source)
    with connection:
        stream.send(f"GET {name}".encode("utf-8"))
        received = 0
        while part := stream.receive(codec.MOST_DATA_BYTES):
            if received == 0:
                stream.travel()
            received += len(part)
            if received > MOST_LEGACY_FILE_BYTES:
                raise ProtocolError("the source sent more than 1 TiB")
            file.write(part)
    print(f"{name}: nothing vouches for the bytes that a legacy source sends"
          + ("; an empty file may be a missing one" if received == 0 else ""), file=sys.stderr)
    return received
