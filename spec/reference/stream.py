"""A TCP connection between peers: its deadlines (BT-5.4-1), and the records on it (BT-6.6)."""

from __future__ import annotations

import socket
import struct
import time

import codec
import seal
from noise import Cipher

FIRST_SECONDS = 5.0  # BT-5.4-1, as are the next three
SILENCE_SECONDS = 30.0
PACE_SECONDS = 30.0
PACE_BYTES = 4_096 * 30


class Stream:
    """A TCP connection with the deadlines of BT-5.4-1."""

    def __init__(self, connection: socket.socket):
        self.connection = connection
        self.deadline = 0.0
        self.window_bytes: int | None = None

    def expect_within(self, seconds: float) -> None:
        """One deadline for all that follows: bytes that trickle in don't move it."""
        self.deadline = time.monotonic() + seconds
        self.window_bytes = None

    def travel(self) -> None:
        """From here on a file travels: each PACE_BYTES have PACE_SECONDS."""
        self.deadline = time.monotonic() + PACE_SECONDS
        self.window_bytes = 0

    def wait(self) -> None:
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the other side is too slow")
        self.connection.settimeout(remaining)

    def moved(self, count: int) -> None:
        if self.window_bytes is not None:
            self.window_bytes += count
            if self.window_bytes >= PACE_BYTES:
                self.travel()

    def receive(self, most: int, flags: int = 0) -> bytes:
        self.wait()
        part = self.connection.recv(most, flags)
        self.moved(len(part))
        return part

    def send(self, data: bytes) -> None:
        # Not sendall: its time-out would not see that some of the data goes out.
        view = memoryview(data)
        while view:
            self.wait()
            sent = self.connection.send(view)
            self.moved(sent)
            view = view[sent:]

    def receive_exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self.receive(count - len(data))
            if not part:
                raise codec.FramingLost("the stream ends too early")
            data += part
        return bytes(data)

    def finish(self) -> None:
        """Ends our side and waits for the other's: closing with unread bytes would reset, and take away what
        the other side hasn't read yet."""
        self.connection.shutdown(socket.SHUT_WR)
        self.expect_within(FIRST_SECONDS)
        while self.receive(codec.MOST_DATA_BYTES):
            pass

    def reset(self) -> None:
        """Lets the other side see a failure where an end would mean success (BT-4.3-3)."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class SealedStream:
    """A stream after its handshake: one `Sealed` after the other, each with a frame (BT-6.6-1, BT-6.6-3)."""

    def __init__(self, stream: Stream, sending: Cipher, receiving: Cipher, most_data_bytes: int):
        self.stream = stream
        self.sending, self.receiving = seal.Direction(sending), seal.Direction(receiving)
        self.most_data_bytes = most_data_bytes  # that we take; only who asked for a file takes long ones (BT-5.3-1)

    def send_frame(self, kind: str, encoding: str, request_id: int, value: object) -> None:
        self.stream.send(self.sending.seal(codec.encode_frame(kind, encoding, request_id, value)))

    def receive_frame(self) -> tuple[codec.Header, bytes]:
        """Header and payload. Whatever is wrong with the seal, or isn't one frame, is the end (BT-6.6-5)."""
        head = self.stream.receive_exactly(codec.HEADER.size)
        sealed = self.stream.receive_exactly(seal.record_bytes(head, self.most_data_bytes))
        return codec.split_frame(self.receiving.open(head, sealed), self.most_data_bytes)
