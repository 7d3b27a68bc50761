"""Recomputes every entry of seal.json from its inputs; check_vectors.py calls it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import codec
import seal
from identity import Invite, fingerprint, read_invite
from primitives import blake3_derive_key, blake3_keyed, public_key
from tickets import make_ticket, ticket_key
from values import ProtocolError, split_address

COOKIE_KEY_MS = 120_000  # BT-6.4-3


def entries(part: list[dict]) -> dict[str, object]:
    """Bytes or text, by name."""
    return {entry["name"]: bytes.fromhex(entry["hex"]) if "hex" in entry else entry["text"] for entry in part}


def make_cookie(key: bytes, time_ms: bytes, address: str, nonce: bytes) -> bytes:
    """BT-6.4-2. Only a server makes and reads cookies."""
    host, port = split_address(address)
    mapped = b"\0" * 10 + b"\xff\xff" + host.packed if host.version == 4 else host.packed
    signed = b"\x01" + time_ms + mapped + struct.pack(">H", port) + nonce
    return time_ms + blake3_keyed(key, signed)[:16]


def cookie_key(seed: bytes, time_ms: int) -> bytes:
    """BT-6.4-3. The file's seed stands two keys before the one for the first 120 s."""
    key = seed
    for _ in range(2 + time_ms // COOKIE_KEY_MS):
        key = blake3_derive_key("BitTrickle 1 cookie key", key)
    return key


def datagram_values(inputs: dict) -> Iterator[tuple[str, object]]:
    """A device and its server. The server's side is written out here, for a client has none."""
    server_key = public_key(inputs["server_secret"])
    yield "device_public", public_key(inputs["device_secret"])
    yield "server_public", server_key
    yield "server_fingerprint", fingerprint(server_key)
    invite = Invite("index.example.org:16980", server_key)
    assert read_invite(f" {invite}\n") == invite
    yield "invite", str(invite)

    device_index, server_index = (int.from_bytes(inputs[name], "big") for name in ("device_index", "server_index"))
    device = seal.DatagramHandshake(device_index, inputs["nonce"])
    yield "hello", device.hello()
    time_ms = inputs["cookie_time_ms"]
    cookie = make_cookie(cookie_key(inputs["cookie_seed"], int.from_bytes(time_ms, "big")), time_ms,
                         inputs["address"], inputs["nonce"])
    retry = seal.outside("Retry", device_index, inputs["nonce"] + cookie + server_key)
    yield "retry", retry

    assert device.read_retry(seal.read_outside(retry)[2]) == (cookie, server_key)
    initiate = device.make_initiate(cookie, inputs["device_secret"], server_key, inputs["device_ephemeral"])
    yield "initiate", initiate
    prologue, message_1 = seal.DATAGRAM_PROLOGUE + initiate[:52], initiate[52:]
    responder = seal.Responder(prologue, inputs["server_secret"], inputs["server_ephemeral"])
    assert responder.read_message_1(message_1) == bytes(108)
    assert responder.initiator_public == public_key(inputs["device_secret"])
    accept = seal.outside("Accept", device_index, responder.write_message_2(inputs["server_index"]))
    yield "accept", accept

    session = device.read_accept(seal.read_outside(accept)[2])
    opening, sealing = responder.split()
    server_session = seal.DatagramSession(sealing, opening, server_index, device_index)
    assert session.other_index == server_index
    yield "device_to_server", session.sealing.key
    yield "server_to_device", session.opening.key
    assert (opening.key, sealing.key) == (session.sealing.key, session.opening.key)

    login = codec.encode_frame("Login", "bincode", 1, {"transfer_port": 50_000})
    logged_in = codec.encode_frame("LoggedIn", "bincode", 1, {
        "boot_id": "0123456789abcdef", "clock_ms": 1_000_000, "heartbeat_ms": 2_000, "offline_after_ms": 7_000})
    heartbeat = codec.encode_frame("Heartbeat", "bincode", 2, {})
    for name, frame, sender, receiver in (("login", login, session, server_session),
                                          ("logged_in", logged_in, server_session, session),
                                          ("heartbeat", heartbeat, session, server_session)):
        sealed = sender.seal(frame)
        assert receiver.open(seal.read_outside(sealed)[2]) == frame
        yield f"{name}_frame", frame
        yield f"sealed_{name}", sealed
    reset = seal.outside("Reset", server_index, sealed[codec.HEADER.size:][:seal.COUNTER_BYTES])
    assert session.believes_reset(*seal.read_outside(reset)[1:])
    yield "reset", reset
    yield "ticket_key", ticket_key(session.sealing, session.opening)


def stream_values(inputs: dict, key_for_tickets: bytes) -> Iterator[tuple[str, object]]:
    """Another device, which fetches from the first."""
    fetcher = public_key(inputs["fetcher_secret"])
    yield "fetcher_public", fetcher
    ends, number = (int.from_bytes(inputs[name], "big") for name in ("ticket_ends_ms", "ticket_number"))
    target = f"name:{inputs['name']}"
    ticket = make_ticket(key_for_tickets, ends, number, fetcher, target)
    yield "ticket", ticket

    initiator = seal.stream_initiator(inputs["fetcher_secret"], public_key(inputs["device_secret"]),
                                      inputs["fetcher_ephemeral"])
    message_1 = initiator.write_message_1(seal.write_stream_payload(ticket, target))
    yield "stream_initiate", seal.STREAM_INITIATE_HEADER + message_1
    responder = seal.stream_responder(inputs["device_secret"], inputs["provider_ephemeral"])
    assert seal.read_stream_payload(responder.read_message_1(message_1)) == (ticket, target)
    message_2 = responder.write_message_2(b"")
    yield "stream_accept", seal.STREAM_ACCEPT_HEADER + message_2
    assert initiator.read_message_2(message_2) == b""

    to_provider, to_fetcher = initiator.split()
    yield "fetcher_to_provider", to_provider.key
    yield "provider_to_fetcher", to_fetcher.key
    yield "provider_to_fetcher_after_rekey", to_fetcher.rekeyed().key
    asking, answering = seal.Direction(to_provider), seal.Direction(to_fetcher)
    fetch = codec.encode_frame("Fetch", "bincode", 1, {"part": 2, "first": 0, "count": 1})
    described = codec.encode_frame("Described", "bincode", 1, {
        "file_bytes": 6, "root": None, "manifest_bytes": None, "is_complete": True})
    data = codec.encode_frame("Data", "raw", 1, b"hello\n")
    for name, frame, direction in (("fetch", fetch, asking), ("described", described, answering),
                                   ("data", data, answering)):
        yield f"{name}_frame", frame
        yield f"record_{name}", direction.seal(frame)
    answering.counter = seal.REKEY_AFTER
    yield "record_after_rekey", answering.seal(data)


def not_refused(inputs: dict, refused: dict) -> Iterator[str]:
    """Each of them can be opened; what stands in it is wrong."""
    for name, initiate in refused.items():
        responder = seal.stream_responder(inputs["device_secret"])
        assert initiate.startswith(seal.STREAM_INITIATE_HEADER), name
        payload = responder.read_message_1(initiate[codec.HEADER.size:])
        try:
            seal.read_stream_payload(payload)
            yield f"{name}: it isn't refused"
        except ProtocolError:
            pass


def disagreements(file: dict) -> tuple[int, list[str]]:
    """How many values were held against the file, and what is wrong."""
    inputs, expected = entries(file["inputs"]), entries(file["keys"] + file["vectors"])
    found = dict(datagram_values(inputs))
    found.update(stream_values(inputs, found["ticket_key"]))
    sentences = [f"{name} is {show(found.get(name))}, the vector says {show(value)}"
                 for name, value in expected.items() if found.get(name) != value]
    sentences += [f"{name} has no vector" for name in found if name not in expected]
    refused = entries(file["refused"])
    sentences += not_refused(inputs, refused)
    return len(expected) + len(refused), sentences


def show(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value
