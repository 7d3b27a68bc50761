"""Fetching a file from another peer over TCP: sealed (parts 3 and 6), and with legacy `GET` (BT-4.3)."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

import codec
import seal
from stream import FIRST_SECONDS, SealedStream, Stream
from values import ProtocolError, Refusal, split_address

CONNECT_SECONDS = 5.0  # BT-5.4-1
MOST_LEGACY_FILE_BYTES = 1 << 40  # BT-4.3-4


def fetch(source: dict, name: str, device_secret: bytes, encoding: str, final_path: str) -> int:
    """Fetches a published file from a source of `Located`; returns its size."""
    # Asked before anything travels; that nothing is replaced is seen to again when the name is given.
    if os.path.lexists(final_path):
        raise FileExistsError(f"{final_path} exists already")
    host, port = split_address(source["address"])
    access = source["access"]
    if access is None and not host.is_loopback:
        raise ProtocolError("the legacy format is spoken to loopback addresses only")  # BT-4.3-5
    with socket.create_connection((str(host), port), timeout=CONNECT_SECONDS) as connection:
        stream = Stream(connection)
        stream.expect_within(FIRST_SECONDS)
        with new_file(final_path) as file:
            if access is None:
                return fetch_legacy(stream, name, file)
            return fetch_frames(shake_hands(stream, device_secret, access, name), name, encoding, file)


def shake_hands(stream: Stream, device_secret: bytes, access: dict, name: str) -> SealedStream:
    """Nothing more is sent before the source has proved the key that the index named (BT-6.6-7)."""
    initiator = seal.stream_initiator(device_secret, bytes.fromhex(access["device"]))
    payload = seal.write_stream_payload(bytes.fromhex(access["ticket"]), name)
    stream.send(seal.STREAM_INITIATE_HEADER + initiator.write_message_1(payload))
    if stream.receive_exactly(codec.HEADER.size) != seal.STREAM_ACCEPT_HEADER:
        raise codec.FramingLost("an Accept is expected")
    initiator.read_message_2(stream.receive_exactly(seal.STREAM_ACCEPT_BYTES))
    sending, receiving = initiator.split()
    stream.expect_within(FIRST_SECONDS)
    return SealedStream(stream, sending, receiving, codec.MOST_DATA_BYTES)


def fetch_frames(sealed: SealedStream, name: str, encoding: str, file: BinaryIO) -> int:
    """BT-3.3."""
    request_id = 1  # a connection of our own, with one request
    sealed.send_frame("Fetch", encoding, request_id, {"name": name})
    content = expect_frame(sealed, request_id, ("Content",)).value
    sealed.stream.travel()
    received = 0
    while (frame := expect_frame(sealed, request_id, ("Data", "Done"))).kind == "Data":
        received += len(frame.value)
        if received > content["file_bytes"]:
            raise ProtocolError("the source sent more bytes than it said")
        file.write(frame.value)
    if received != content["file_bytes"]:
        raise ProtocolError("the source sent fewer bytes than it said")
    return received


def expect_frame(sealed: SealedStream, request_id: int, kinds: tuple[str, ...]) -> codec.Frame:
    frame = codec.decode_frame(*sealed.receive_frame())
    if frame.kind == "Versions":
        raise ProtocolError(f"the source speaks versions {frame.value['lowest']} to {frame.value['highest']}")
    if frame.request_id != request_id:
        raise ProtocolError("the source answered another request")
    if frame.kind == "Refused" and "Content" in kinds:
        raise Refusal(frame.value["code"], frame.value["sentence"])
    if frame.kind not in kinds:
        raise ProtocolError(f"the source sent a {frame.kind} out of place")
    return frame


def fetch_legacy(stream: Stream, name: str, file: BinaryIO) -> int:
    """BT-4.3-4: the end of the stream is all that says the file is there."""
    if name.split() != [name]:
        raise ProtocolError("the legacy format can't ask for a name with white space")
    stream.send(f"GET {name}\n".encode("utf-8"))  # a newline spares the source its pause
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


@contextlib.contextmanager
def new_file(final_path: str) -> Iterator[BinaryIO]:
    """A file that gets its name only when all its bytes are on disk, and never another's (BT-3.4-1)."""
    folder = os.path.dirname(os.path.abspath(final_path))
    # The leading dot keeps the name apart from every file name of the protocol (BT-2.1-3).
    handle, temporary_path = tempfile.mkstemp(prefix=".incoming-", dir=folder)
    try:
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary_path, final_path)  # unlike a rename, fails where the name is taken
    finally:
        os.unlink(temporary_path)
