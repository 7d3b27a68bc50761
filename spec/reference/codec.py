"""Messages, their two encodings, and the frames that stand inside a seal (parts 1 to 3).

One table, MESSAGES, says what every message of parts 2 and 3 consists of. It drives both encodings
(BT-1.5-1 to BT-1.5-4), so that they can't come to differ. The value of a message is a dict in its JSON form
(see values.py); that of `Data` is the bytes themselves.
"""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

from values import (BITMAP, BYTE, CHOICE, CONTENT, EXTENSION, FILE_NAME, HEX64, KEY, MEMBER_NAME, NUMBER_16, NUMBER_32,
                    NUMBER_64, PASSWORD, QUERY, ROOT, ROOT_PREFIX, SENTENCE, SIZE, TARGET, TICKET, TRANSFER_PORT, TRUTH,
                    ListOf, Malformed, Optional, ProtocolError, Reader, SourceAddress, Struct, require)

MAGIC = 0xB7
VERSION = 1
HEADER = struct.Struct(">BBBBII")  # BT-1.2-1
ENCODINGS = {"json": 0, "bincode": 1, "raw": 2}
ENCODING_NAMES = {code: name for name, code in ENCODINGS.items()}

MOST_DATAGRAM_BYTES = 1_200  # BT-1.4-1
MOST_DATA_BYTES = 65_280  # BT-5.3-1
MOST_PAYLOAD_BYTES = 1_152  # BT-5.3-1
FIRST_ANSWER = 0x80  # BT-1.6-3

UNKNOWN_KIND, UNEXPECTED_KIND, UNKNOWN_ENCODING = 2, 3, 4  # BT-5.2
NO_SESSION, LIMIT_REACHED, BUSY, NOT_SHARED, UNREADABLE = 5, 7, 8, 9, 10
NOT_ENROLLED, TOO_FAST, NO_TICKET, CHANGED, NOT_HERE = 11, 12, 13, 14, 15

KINDS = {  # BT-5.1-1
    "Hello": 0x01, "Retry": 0x81, "Initiate": 0x02, "Accept": 0x82, "Sealed": 0x03, "Reset": 0x83,
    "Login": 0x10, "LoggedIn": 0x90, "Heartbeat": 0x11, "HeartbeatReply": 0x91, "Logout": 0x12, "LoggedOut": 0x92,
    "Enrol": 0x13, "Enrolled": 0x93,
    "Publish": 0x20, "Published": 0xA0, "Unpublish": 0x21, "Unpublished": 0xA1, "Search": 0x22, "Found": 0xA2,
    "Locate": 0x23, "Located": 0xA3, "ListPeers": 0x24, "Peers": 0xA4, "ListFiles": 0x25, "Files": 0xA5,
    "Announce": 0x26, "Announced": 0xA6, "Recall": 0x27, "Recalled": 0xA7, "Resume": 0x28, "Resumed": 0xA8,
    "Describe": 0x40, "Described": 0xC0, "Fetch": 0x41, "Data": 0xC1, "AskHave": 0x42, "Have": 0xC2,
    "Renew": 0x43, "Renewed": 0xC3, "Refused": 0xF0, "Versions": 0xFF,
}
KIND_NAMES = {code: name for name, code in KINDS.items()}
RAW_KINDS = ("Data", "Versions")  # BT-1.2-5
OUTSIDE_KINDS = (*range(0x01, 0x10), *range(0x81, 0x90))  # BT-5.1-1

FILTER = Struct(is_exact=TRUTH, is_prefix=TRUTH, is_online=TRUTH, extension=Optional(EXTENSION), bytes_min=Optional(SIZE),
                bytes_max=Optional(SIZE), member=Optional(MEMBER_NAME), root_prefix=Optional(ROOT_PREFIX))
HIT_CURSOR = Struct(number=NUMBER_32, content=Optional(CONTENT))
SOURCE_CURSOR = Struct(member=MEMBER_NAME, address=SourceAddress())
OFFER = Struct(name=FILE_NAME, file_bytes=SIZE, root=Optional(ROOT), is_folder=TRUTH)
HIT = Struct(name=FILE_NAME, content=CONTENT, members=NUMBER_32, sources=NUMBER_32)
ACCESS = Struct(device=KEY, ticket=TICKET)
SOURCE = Struct(member=MEMBER_NAME, address=SourceAddress(), content=CONTENT, access=Optional(ACCESS))
ENTRY = Struct(name=MEMBER_NAME, sessions=NUMBER_32)
OWN_FILE = Struct(name=FILE_NAME, content=CONTENT, sources=NUMBER_32)

MESSAGES = {
    "Login": Struct(transfer_port=TRANSFER_PORT),
    "LoggedIn": Struct(boot_id=HEX64, clock_ms=NUMBER_64, heartbeat_ms=NUMBER_32, offline_after_ms=NUMBER_32),
    "Heartbeat": Struct(),
    "HeartbeatReply": Struct(boot_id=HEX64, clock_ms=NUMBER_64, offered=NUMBER_32, digest=HEX64),
    "Logout": Struct(),
    "LoggedOut": Struct(),
    "Enrol": Struct(member=MEMBER_NAME, password=PASSWORD),
    "Enrolled": Struct(),
    "Publish": Struct(files=ListOf(OFFER, 64)),
    "Published": Struct(offered=NUMBER_32),
    "Unpublish": Struct(names=ListOf(FILE_NAME, 64)),
    "Unpublished": Struct(),
    "Search": Struct(text=QUERY, filter=FILTER, after=Optional(HIT_CURSOR)),
    "Found": Struct(hits=ListOf(HIT, 64), next=Optional(HIT_CURSOR)),
    "Locate": Struct(target=TARGET, after=Optional(SOURCE_CURSOR)),
    "Located": Struct(members=NUMBER_32, sources=ListOf(SOURCE, 8), next=Optional(SOURCE_CURSOR)),
    "ListPeers": Struct(after=Optional(MEMBER_NAME)),
    "Peers": Struct(members=ListOf(ENTRY, 64), next=Optional(MEMBER_NAME)),
    "ListFiles": Struct(after=Optional(NUMBER_32)),
    "Files": Struct(files=ListOf(OWN_FILE, 64), next=Optional(NUMBER_32)),
    "Refused": Struct(code=NUMBER_16, sentence=SENTENCE),
    "Announce": Struct(roots=ListOf(ROOT, 16)),
    "Announced": Struct(),
    "Recall": Struct(rank=NUMBER_32),
    "Recalled": Struct(publications=NUMBER_32, digests=ListOf(HEX64, 128)),
    "Resume": Struct(rank=NUMBER_32, chosen=CHOICE, digest=HEX64),
    "Resumed": Struct(offered=NUMBER_32, is_resumed=TRUTH),
    "Describe": Struct(),
    "Described": Struct(file_bytes=SIZE, root=Optional(ROOT), manifest_bytes=Optional(SIZE), is_complete=TRUTH),
    "Fetch": Struct(part=BYTE, first=NUMBER_32, count=NUMBER_32),
    "AskHave": Struct(first=NUMBER_32),
    "Have": Struct(first=NUMBER_32, bitmap=BITMAP),
    "Renew": Struct(ticket=TICKET),
    "Renewed": Struct(),
}


class FramingLost(ProtocolError):
    """Where the next frame begins can't be known any more (BT-1.3-2)."""


class Header(NamedTuple):
    """Codes as they are on the wire: another version or kind needn't be known here (BT-1.7-1)."""

    version: int
    kind: int
    encoding: int
    request_id: int
    payload_bytes: int


class Frame(NamedTuple):
    kind: str
    encoding: str
    request_id: int
    value: object


# --- Payloads ------------------------------------------------------------------------------------------


def unique_fields(pairs: list[tuple[str, object]]) -> dict:
    """A field that is there twice has no one value, and Python would silently take the last."""
    fields = dict(pairs)
    require(len(fields) == len(pairs), "a field is there twice")
    return fields


def refuse_number(text: str) -> None:
    raise Malformed(f"{text} isn't a whole number")


def read_json(payload: bytes) -> object:
    """BT-1.5-2. Decoded as UTF-8 by hand, since json.loads guesses UTF-16 and UTF-32 from bytes."""
    try:
        return json.loads(payload.decode("utf-8"), object_pairs_hook=unique_fields, parse_float=refuse_number,
                          parse_constant=refuse_number)
    except (ValueError, RecursionError):  # ValueError covers bad UTF-8 and bad JSON
        raise Malformed("the payload isn't JSON") from None


def encode_payload(kind: str, encoding: str, value: object) -> bytes:
    if kind == "Data":
        require(1 <= len(value) <= MOST_DATA_BYTES, f"Data has 1 to {MOST_DATA_BYTES} bytes")  # BT-3.3-1
        return bytes(value)
    if kind == "Versions":
        return bytes((value["lowest"], value["highest"]))  # BT-1.7-2
    message = MESSAGES[kind]
    value = message.check(value)
    if encoding == "json":
        payload = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    else:
        output = bytearray()
        message.write(value, output)
        payload = bytes(output)
    require(len(payload) <= MOST_PAYLOAD_BYTES, f"a {kind} has more than {MOST_PAYLOAD_BYTES} bytes")
    return payload


def decode_payload(kind: str, encoding: str, payload: bytes) -> object:
    require((encoding == "raw") == (kind in RAW_KINDS), f"{kind} is not written in {encoding}")  # BT-1.2-5
    if kind == "Data":
        require(payload, "Data has at least one byte")
        return payload
    if kind == "Versions":
        require(len(payload) == 2, "Versions has two bytes")
        return {"lowest": payload[0], "highest": payload[1]}
    message = MESSAGES[kind]
    if encoding == "json":
        return message.check(read_json(payload))
    reader = Reader(payload)
    value = message.read(reader)
    require(reader.offset == len(payload), "bytes are left behind the value")  # BT-1.5-3
    return message.check(value)


# --- Frames --------------------------------------------------------------------------------------------


def encode_frame(kind: str, encoding: str, request_id: int, value: object) -> bytes:
    """A whole frame; `Data` and `Versions` are raw whatever is asked (BT-1.2-3)."""
    if kind in RAW_KINDS:
        encoding = "raw"
    payload = encode_payload(kind, encoding, value)
    version = 0 if kind == "Versions" else VERSION  # BT-1.7-2
    return HEADER.pack(MAGIC, version, KINDS[kind], ENCODINGS[encoding], request_id, len(payload)) + payload


def decode_header(data: bytes, most_data_bytes: int = MOST_PAYLOAD_BYTES) -> Header:
    """The header in 12 bytes. The length is checked before anyone reads the payload (BT-1.2-4).

    Only who asked for a file lets `Data` be longer than other payloads (BT-5.3-1).
    """
    magic, *fields = HEADER.unpack(data)
    header = Header(*fields)
    if magic != MAGIC:
        raise FramingLost("a frame begins with 0xB7")
    if header.kind in OUTSIDE_KINDS:
        return header  # their lengths are seal.py's
    most = most_data_bytes if header.kind == KINDS["Data"] else MOST_PAYLOAD_BYTES
    # The limits are those of version 1; in a version that isn't spoken the length means nothing to us.
    if is_spoken(header) and header.payload_bytes > most:
        raise FramingLost(f"a payload of {header.payload_bytes} bytes is longer than {most}")
    return header


def is_spoken(header: Header) -> bool:
    """Versions, and nothing else, has version byte 0 (BT-1.7-2)."""
    return header.version == (0 if header.kind == KINDS["Versions"] else VERSION)


def split_frame(data: bytes, most_data_bytes: int = MOST_PAYLOAD_BYTES) -> tuple[Header, bytes]:
    """Header and payload of what was sealed: exactly one frame (BT-1.4-1, BT-1.4-2, BT-6.6-5)."""
    if len(data) < HEADER.size:
        raise FramingLost("a frame has at least a header")
    header = decode_header(data[:HEADER.size], most_data_bytes)
    payload = data[HEADER.size:]
    if is_spoken(header) and header.payload_bytes != len(payload):  # BT-1.7-2: else it means nothing
        raise FramingLost("a seal holds exactly one frame")
    return header, payload


def decode_frame(header: Header, payload: bytes, expected: str | None = None) -> Frame:
    """The frame, or Malformed with the code it is refused with, in the order of BT-1.6.

    Where only one kind has its place, `expected` names it.
    """
    if not is_spoken(header):
        raise Malformed(f"version {header.version} isn't spoken here")
    if header.kind in OUTSIDE_KINDS:
        raise Malformed("that kind stands outside a seal", UNEXPECTED_KIND)  # BT-6.1-2
    if header.kind not in KIND_NAMES:
        raise Malformed("the kind isn't known", UNKNOWN_KIND)
    if header.encoding not in ENCODING_NAMES:
        raise Malformed("the encoding isn't known", UNKNOWN_ENCODING)
    kind, encoding = KIND_NAMES[header.kind], ENCODING_NAMES[header.encoding]
    value = decode_payload(kind, encoding, payload)
    if expected not in (None, kind):
        raise Malformed(f"a {kind} has no place here", UNEXPECTED_KIND)
    return Frame(kind, encoding, header.request_id, value)
