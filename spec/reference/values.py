"""Types of the BitTrickle protocol: their rules and bounds (BT-2.1) and their bincode (BT-1.5-3, BT-1.5-4).

A value is a Python object in the JSON form of its type: a struct is a dict, an absent optional is None, a
hex64, key, ticket, root or bitmap is a string of hexadecimal digits, an address a string. Every type has the same three methods:

* `check(value)` returns the value in its one form, or raises Malformed where a bound or rule is broken;
* `write(value, output)` appends the bincode of a checked value to a bytearray;
* `read(reader)` takes a value out of bincode, unchecked but for what reading itself needs.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from typing import Protocol

MALFORMED = 1  # BT-5.2
MOST_QUERY_BYTES = 255


class ProtocolError(Exception):
    """The other side, or a value of ours, doesn't keep to the specification."""


class Malformed(ProtocolError):
    """A whole frame, or a value, that is refused with a code of BT-5.2."""

    def __init__(self, sentence: str, refusal_code: int = MALFORMED):
        super().__init__(sentence)
        self.refusal_code = refusal_code


class Refusal(Exception):
    """The other side answered with `Refused` (BT-2.10)."""

    def __init__(self, code: int, sentence: str):
        super().__init__(sentence)
        self.code = code


def require(condition: object, sentence: str) -> None:
    if not condition:
        raise Malformed(sentence)


# --- Rules for text (BT-2.1) ---------------------------------------------------------------------------

INVISIBLE_RANGES = (  # BT-2.1-2, beside category Cc
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x180E, 0x180E), (0x200B, 0x200F), (0x2028, 0x202E),
    (0x2060, 0x206F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB), (0xE0000, 0xE007F),
)
# Lower case on purpose: folding up would let U+0131 (dotless i) pass for the I of CONIN$.
WINDOWS_DEVICE = re.compile(r"con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]")  # BT-2.1-3


def is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc"


def is_invisible(character: str) -> bool:
    return is_control(character) or any(first <= ord(character) <= last for first, last in INVISIBLE_RANGES)


def check_member_name(text: str) -> None:
    """BT-2.1-1."""
    require(not any(character.isspace() or is_invisible(character) for character in text),
            "a member name has no white space and no invisible characters")


def check_label(text: str) -> None:
    """What holds anywhere in a name, and at its end (BT-2.1-3, BT-2.1-12)."""
    require(not any(is_invisible(character) for character in text), "a name has no invisible characters")
    require(not any(character in '/\\:<>"|?*' for character in text), 'a name has none of / \\ : < > " | ? *')
    require(text[-1] != "." and not text[-1].isspace(), "a name doesn't end with . or white space")


def check_file_name(text: str) -> None:
    """BT-2.1-3."""
    require(text[0] not in ".-~", "a file name doesn't begin with . - ~")
    check_entry_name(text)


def check_entry_name(text: str) -> None:
    """BT-3.6-2."""
    require(unicodedata.is_normalized("NFC", text), "a name is in normalization form C")
    check_label(text)
    require(not text[0].isspace(), "a name doesn't begin with white space")
    stem = text.split(".", 1)[0].rstrip().lower()
    require(not WINDOWS_DEVICE.fullmatch(stem), "a name isn't that of a Windows device")


def check_extension(text: str) -> None:
    """BT-2.1-12."""
    check_label(text)
    require(text[0] != ".", "an extension doesn't begin with .")


def check_without_controls(text: str) -> None:
    """Passwords and queries, BT-2.1-4."""
    require(not any(is_control(character) for character in text), "the text has control characters")


def check_query(text: str) -> None:
    """BT-2.1-4."""
    check_without_controls(text)
    counted = len(text.encode("utf-8")) + text.count('"') + text.count("\\")
    require(counted <= MOST_QUERY_BYTES, f"a query has {counted} bytes, not 0 to {MOST_QUERY_BYTES}")


def check_root_prefix(text: str) -> None:
    """BT-2.1-9."""
    require(re.fullmatch("[0-9a-f]*", text), "a root prefix is lower-case hexadecimal digits")


def check_target(text: str) -> None:
    """BT-2.1-11."""
    scheme, colon, named = text.partition(":")
    require(scheme in TARGETS and colon, "a target is root:... or name:...")
    TARGETS[scheme].check(named)


def check_sentence(text: str) -> None:
    """BT-2.1-4."""
    require(not any(is_invisible(character) for character in text), "a sentence has no invisible characters")


# --- Types (BT-1.5-4) ----------------------------------------------------------------------------------


class Reader:
    """Takes bincode apart from front to back."""

    def __init__(self, payload: bytes):
        self.payload = payload
        self.offset = 0

    def take(self, count: int) -> bytes:
        end = self.offset + count
        require(end <= len(self.payload), "the payload ends too early")
        part = self.payload[self.offset:end]
        self.offset = end
        return part

    def number(self) -> int:
        first = self.take(1)[0]
        if first <= 250:
            return first
        width = {0xFB: 2, 0xFC: 4, 0xFD: 8}.get(first)
        require(width, "a number doesn't begin with this byte")
        value = int.from_bytes(self.take(width), "little")
        # What fits a shorter form must use it: every value has one form (BT-1.5-3).
        least = {2: 251, 4: 1 << 16, 8: 1 << 32}[width]
        require(value >= least, "a number is written longer than it needs")
        return value

    def truth(self) -> bool:
        value = self.take(1)[0]
        require(value <= 1, "a truth is 0 or 1")
        return value == 1


def write_number(value: int, output: bytearray) -> None:
    if value <= 250:
        output.append(value)
        return
    for first, width in ((0xFB, 2), (0xFC, 4), (0xFD, 8)):
        if value < 1 << (8 * width):
            output.append(first)
            output += value.to_bytes(width, "little")
            return
    raise Malformed("a number has more than 64 bits")


class Type(Protocol):
    """What every type can do; see above."""

    def check(self, value: object) -> object: ...
    def write(self, value: object, output: bytearray) -> None: ...
    def read(self, reader: Reader) -> object: ...


class Number:
    def __init__(self, most: int, least: int = 0):
        self.most, self.least = most, least

    def check(self, value: object) -> int:
        # bool is a kind of int in Python, but not a number on the wire.
        require(isinstance(value, int) and not isinstance(value, bool), "a whole number is expected")
        require(self.least <= value <= self.most, f"a number is not in {self.least} to {self.most}")
        return value

    def write(self, value: int, output: bytearray) -> None:
        write_number(value, output)

    def read(self, reader: Reader) -> int:
        return reader.number()


class Truth:
    def check(self, value: object) -> bool:
        require(isinstance(value, bool), "true or false is expected")
        return value

    def write(self, value: bool, output: bytearray) -> None:
        output.append(value)

    def read(self, reader: Reader) -> bool:
        return reader.truth()


class Byte(Number):
    """Unlike a number always one byte."""

    def __init__(self) -> None:
        super().__init__(255)

    def write(self, value: int, output: bytearray) -> None:
        output.append(value)

    def read(self, reader: Reader) -> int:
        return reader.take(1)[0]


class Text:
    def __init__(self, least: int, most: int, rule: Callable[[str], None]):
        self.least, self.most, self.rule = least, most, rule

    def check(self, value: object) -> str:
        require(isinstance(value, str), "a string is expected")
        try:
            length = len(value.encode("utf-8"))
        except UnicodeEncodeError:  # JSON can spell half of a surrogate pair
            raise Malformed("a string isn't Unicode") from None
        require(self.least <= length <= self.most, f"a text has {length} bytes, not {self.least} to {self.most}")
        self.rule(value)
        return value

    def write(self, value: str, output: bytearray) -> None:
        encoded = value.encode("utf-8")
        write_number(len(encoded), output)
        output += encoded

    def read(self, reader: Reader) -> str:
        try:
            return reader.take(reader.number()).decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("a text isn't UTF-8") from None


class HexBytes:
    """A hex64, a key, a ticket or a root."""

    def __init__(self, count: int):
        self.count = count

    def check(self, value: object) -> str:
        require(isinstance(value, str) and re.fullmatch("[0-9a-f]*", value) and len(value) == 2 * self.count,
                f"{2 * self.count} hexadecimal digits are expected")
        return value

    def write(self, value: str, output: bytearray) -> None:
        output += bytes.fromhex(value)

    def read(self, reader: Reader) -> str:
        return reader.take(self.count).hex()


class Bitmap:
    def __init__(self, most: int):
        self.most = most

    def check(self, value: object) -> str:
        require(isinstance(value, str) and re.fullmatch("([0-9a-f]{2})*", value) and len(value) <= 2 * self.most,
                f"two hexadecimal digits for each of at most {self.most} bytes are expected")
        return value

    def write(self, value: str, output: bytearray) -> None:
        write_number(len(value) // 2, output)
        output += bytes.fromhex(value)

    def read(self, reader: Reader) -> str:
        count = reader.number()
        require(count <= self.most, f"a bitmap has more than {self.most} bytes")
        return reader.take(count).hex()


def split_address(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    """`1.2.3.4:5` or `[::1]:5` as (IPv4Address or IPv6Address, port); a mapped IPv4 address as IPv4."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(0|[1-9][0-9]{0,4})", text)
    require(match, "an address is written 1.2.3.4:5 or [::1]:5")
    try:
        host = ipaddress.IPv6Address(match[1]) if match[1] else ipaddress.IPv4Address(match[2])
    except ValueError:
        raise Malformed("an address is written 1.2.3.4:5 or [::1]:5") from None
    return getattr(host, "ipv4_mapped", None) or host, int(match[3])


def join_address(host: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> str:
    return f"{host}:{port}" if host.version == 4 else f"[{host}]:{port}"


TRANSFER_PORT = Number(65_535, least=1_024)  # BT-2.1-7


class SourceAddress:
    """BT-2.1-8: the only addresses that messages carry."""

    def check(self, value: object) -> str:
        require(isinstance(value, str), "an address is a string")
        host, port = split_address(value)
        require(not host.is_unspecified and not host.is_multicast and str(host) != "255.255.255.255",
                "a source has a unicast address")
        TRANSFER_PORT.check(port)
        return join_address(host, port)

    def write(self, value: str, output: bytearray) -> None:
        host, port = split_address(value)
        output += b"\0" * 10 + b"\xff\xff" + host.packed if host.version == 4 else host.packed
        write_number(port, output)

    def read(self, reader: Reader) -> str:
        host = ipaddress.IPv6Address(reader.take(16))
        return join_address(host.ipv4_mapped or host, reader.number())


class Optional:
    def __init__(self, inner: Type):
        self.inner = inner

    def check(self, value: object) -> object:
        return None if value is None else self.inner.check(value)

    def write(self, value: object, output: bytearray) -> None:
        output.append(int(value is not None))
        if value is not None:
            self.inner.write(value, output)

    def read(self, reader: Reader) -> object:
        return self.inner.read(reader) if reader.truth() else None


class ListOf:
    def __init__(self, inner: Type, most: int):
        self.inner, self.most = inner, most

    def check(self, value: object) -> list:
        require(isinstance(value, list) and len(value) <= self.most, f"a list of at most {self.most} is expected")
        return [self.inner.check(entry) for entry in value]

    def write(self, value: list, output: bytearray) -> None:
        write_number(len(value), output)
        for entry in value:
            self.inner.write(entry, output)

    def read(self, reader: Reader) -> list:
        count = reader.number()
        require(count <= self.most, f"a list has more than {self.most} entries")  # before any is kept, BT-2.1-5
        return [self.inner.read(reader) for _ in range(count)]


class Struct:
    def __init__(self, **fields: Type):
        self.fields = fields

    def check(self, value: object) -> dict:
        require(isinstance(value, dict), "an object is expected")
        unknown = value.keys() - self.fields.keys()
        require(not unknown, f"unknown fields: {sorted(unknown)!r}")
        for name, kind in self.fields.items():
            require(name in value or isinstance(kind, Optional), f"the field {name} is missing")
        # Rebuilt in the order of the table, which the JSON writer keeps.
        return {name: kind.check(value.get(name)) for name, kind in self.fields.items()}

    def write(self, value: dict, output: bytearray) -> None:
        for name, kind in self.fields.items():
            kind.write(value[name], output)

    def read(self, reader: Reader) -> dict:
        return {name: kind.read(reader) for name, kind in self.fields.items()}


NUMBER_16 = Number((1 << 16) - 1)
NUMBER_32 = Number((1 << 32) - 1)
NUMBER_64 = Number((1 << 64) - 1)
HEX64 = HexBytes(8)
CHOICE = HexBytes(16)
KEY = TICKET = ROOT = HexBytes(32)
TRUTH, BYTE, BITMAP = Truth(), Byte(), Bitmap(512)
SIZE = Number((1 << 53) - 1)  # BT-2.1-6
MEMBER_NAME = Text(1, 64, check_member_name)
FILE_NAME = Text(1, 255, check_file_name)
ENTRY_NAME = Text(1, 255, check_entry_name)  # BT-3.6-2
EXTENSION = Text(1, 32, check_extension)
ROOT_PREFIX = Text(8, 64, check_root_prefix)
TARGETS = {"root": ROOT, "name": FILE_NAME}
TARGET = Text(6, 260, check_target)
PASSWORD = Text(1, 128, check_without_controls)
QUERY = Text(0, MOST_QUERY_BYTES, check_query)
SENTENCE = Text(0, 200, check_sentence)
CONTENT = Struct(file_bytes=Optional(SIZE), root=Optional(ROOT), is_folder=TRUTH)  # BT-2.1-10
