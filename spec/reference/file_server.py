"""Serves published files to other peers over TCP: sealed (parts 3 and 6), and to legacy `GET` (BT-4.3)."""

from __future__ import annotations

import collections
import contextlib
import ipaddress
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import codec
import seal
from stream import FIRST_SECONDS, SILENCE_SECONDS, SealedStream, Stream
from tickets import TicketGate
from values import ProtocolError, Refusal

MOST_CONNECTIONS, MOST_UPLOADS = 256, 32  # BT-5.4-2
MOST_WAITING, MOST_WAITING_OF_ONE_ADDRESS = 64, 8  # BT-5.4-3
MOST_GET_BYTES = 1_024  # BT-4.3-1
GET_PAUSE_SECONDS = 0.05  # BT-4.3-2


class FileServer:
    """`find_path(name)` is the path of a published file, or None (BT-3.1-1)."""

    def __init__(self, host: ipaddress.IPv4Address | ipaddress.IPv6Address, device_secret: bytes, gate: TicketGate,
                 find_path: Callable[[str], str | None]):
        self.device_secret, self.gate, self.find_path = device_secret, gate, find_path
        self.listener = socket.create_server((str(host), 0), family=socket.AF_INET6 if host.version == 6
                                             else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()  # for the next two
        self.connections = 0
        self.waiting: collections.Counter[str] = collections.Counter()  # by address
        self.uploads = threading.Semaphore(MOST_UPLOADS)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, address = self.listener.accept()
            except ConnectionError:  # one caller who hung up is no reason to stop
                continue
            if self.admit(address[0]):
                threading.Thread(target=self.serve, args=(connection, address[0]), daemon=True).start()
            else:
                connection.close()

    def admit(self, host: str) -> bool:
        with self.lock:
            if (self.connections >= MOST_CONNECTIONS or sum(self.waiting.values()) >= MOST_WAITING
                    or self.waiting[host] >= MOST_WAITING_OF_ONE_ADDRESS):
                return False
            self.connections += 1
            self.waiting[host] += 1
            return True

    def stop_waiting(self, host: str) -> None:
        with self.lock:
            self.waiting[host] -= 1
            self.waiting += collections.Counter()  # forgets addresses with none

    def end(self) -> None:
        with self.lock:
            self.connections -= 1

    def serve(self, connection: socket.socket, host: str) -> None:
        with connection, contextlib.ExitStack() as place:
            place.callback(self.stop_waiting, host)
            stream = Stream(connection)
            stream.expect_within(FIRST_SECONDS)
            try:
                first = stream.receive(1, socket.MSG_PEEK)  # BT-1.1-1
                if first == b"G" and ipaddress.ip_address(host).is_loopback:  # BT-4.3-5
                    self.serve_legacy(stream, place)
                elif first == bytes((codec.MAGIC,)):
                    sealed, ticket_name = self.shake_hands(stream)
                    place.close()  # this connection has shown a ticket; its place is another's now
                    self.serve_sealed(sealed, ticket_name)
            except (OSError, ProtocolError):
                pass  # BT-1.3-2, BT-5.4-1, BT-6.6-2, BT-6.6-5: closing is the whole answer
            finally:
                self.end()

    # --- Sealed ---

    def shake_hands(self, stream: Stream) -> tuple[SealedStream, str]:
        """The sealed stream and the name on the ticket, or ProtocolError before a byte was sent (BT-6.6-2)."""
        if stream.receive_exactly(codec.HEADER.size) != seal.STREAM_INITIATE_HEADER:
            raise ProtocolError("a stream begins with Initiate")
        responder = seal.stream_responder(self.device_secret)
        payload = responder.read_message_1(stream.receive_exactly(seal.STREAM_INITIATE_BYTES))
        ticket, name = seal.read_stream_payload(payload)
        if not self.gate.admit(ticket, responder.initiator_public, name):
            raise ProtocolError("that is no ticket for this device and this name")
        stream.send(seal.STREAM_ACCEPT_HEADER + responder.write_message_2(b""))
        receiving, sending = responder.split()
        return SealedStream(stream, sending, receiving, codec.MOST_PAYLOAD_BYTES), name

    def serve_sealed(self, sealed: SealedStream, ticket_name: str) -> None:
        sealed.stream.expect_within(FIRST_SECONDS)
        while True:
            header, payload = sealed.receive_frame()
            if header.kind >= codec.FIRST_ANSWER:
                continue  # answers are never answered, in whatever version (BT-1.6-3, BT-1.7-1)
            if not codec.is_spoken(header):
                versions = {"lowest": codec.VERSION, "highest": codec.VERSION}
                sealed.send_frame("Versions", "raw", header.request_id, versions)
                return sealed.stream.finish()  # BT-1.7-2
            sealed.stream.expect_within(SILENCE_SECONDS)
            try:
                request = codec.decode_frame(header, payload, expected="Fetch")
                if request.value["name"] != ticket_name:
                    refuse(sealed, header, codec.NO_TICKET, "the ticket is for another name")
                    return sealed.stream.finish()  # BT-6.6-6
                self.upload(sealed, request)
            except codec.Malformed as error:
                refuse(sealed, header, error.refusal_code, str(error))
            except Refusal as refusal:
                refuse(sealed, header, refusal.code, str(refusal))
            sealed.stream.expect_within(SILENCE_SECONDS)

    def upload(self, sealed: SealedStream, request: codec.Frame) -> None:
        """BT-3.3-1, BT-3.3-2. Refusal is raised only before the first byte goes out."""
        with self.opened(request.value["name"]) as (file, file_bytes):
            def answer(kind: str, value: object) -> None:
                sealed.send_frame(kind, request.encoding, request.request_id, value)

            sealed.stream.travel()
            answer("Content", {"file_bytes": file_bytes})
            for part in exact_parts(file, file_bytes):
                answer("Data", part)
            answer("Done", {})

    # --- Legacy ---

    def serve_legacy(self, stream: Stream, place: contextlib.ExitStack) -> None:
        try:
            name = receive_get(stream)
            place.close()
            with self.opened(name) as (file, file_bytes):
                stream.travel()
                for part in exact_parts(file, file_bytes):
                    stream.send(part)
        except (Refusal, ValueError, OSError):
            stream.reset()  # BT-4.3-3
        else:
            stream.finish()

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[tuple[BinaryIO, int]]:
        """An upload slot and the open file with its size, or Refusal (BT-3.2-1)."""
        if not self.uploads.acquire(blocking=False):
            raise Refusal(codec.BUSY, "all upload slots are taken")
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(self.uploads.release)
            path = self.find_path(name)
            if path is None:
                raise Refusal(codec.NOT_SHARED, "this file isn't shared here")
            try:
                # Looked at before it is opened, for opening a pipe would wait for a writer.
                if not stat.S_ISREG(os.stat(path).st_mode):
                    raise OSError("not a regular file")
                file = cleanup.enter_context(open(path, "rb"))
                file_bytes = os.fstat(file.fileno()).st_size
            except OSError:
                raise Refusal(codec.UNREADABLE, "this file can't be read now") from None
            yield file, file_bytes


def refuse(sealed: SealedStream, header: codec.Header, code: int, sentence: str) -> None:
    """In the encoding of the question where a structured answer can be written in it, else in JSON (BT-1.6-2)."""
    encoding = "bincode" if header.encoding == codec.ENCODINGS["bincode"] else "json"
    sealed.send_frame("Refused", encoding, header.request_id, {"code": code, "sentence": sentence})


def exact_parts(file: BinaryIO, file_bytes: int) -> Iterator[bytes]:
    """As many bytes as were promised, in parts that fit a `Data` frame (BT-3.3-2)."""
    remaining = file_bytes
    while remaining:
        part = file.read(min(remaining, codec.MOST_DATA_BYTES))
        if not part:
            raise OSError("the file has shrunk")
        remaining -= len(part)
        yield part


def receive_get(stream: Stream) -> str:
    """The name of a `GET name`, whose end nothing marks (BT-4.3-1, BT-4.3-2)."""
    request = bytearray()
    overall_deadline = stream.deadline
    while b"\n" not in request:
        pause_end = time.monotonic() + GET_PAUSE_SECONDS
        stream.deadline = min(overall_deadline, pause_end) if request else overall_deadline
        try:
            part = stream.receive(MOST_GET_BYTES + 1 - len(request))
        except TimeoutError:
            if pause_end > overall_deadline:
                raise
            break
        request += part
        if len(request) > MOST_GET_BYTES:
            raise ValueError("a GET has at most 1,024 bytes")
        if not part:
            break
    words = bytes(request).decode("utf-8").split()
    if len(words) != 2 or words[0] != "GET":
        raise ValueError("a GET has exactly two words")
    return words[1]
