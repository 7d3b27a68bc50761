"""Serves contents to other peers over TCP: sealed (parts 3 and 6), and files to legacy `GET` (BT-4.3)."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator

import codec
import seal
from shares import Published, Share, units
from stream import FIRST_SECONDS, SILENCE_SECONDS, SealedStream, Stream
from tickets import TicketGate
from values import ProtocolError, Refusal

MOST_CONNECTIONS, MOST_UPLOADS = 256, 32  # BT-5.4-2
SLOT_SECONDS = 2.0  # BT-3.7-5
MOST_WAITING, MOST_WAITING_OF_ONE_ADDRESS = 64, 8  # BT-5.4-3
MOST_TAKERS, MOST_OF_ONE_DEVICE = 192, 4  # BT-5.4-4
MOST_GET_BYTES = 1_024  # BT-4.3-1
GET_PAUSE_SECONDS = 0.05  # BT-4.3-2
REQUESTS = ("Describe", "Fetch", "AskHave", "Renew")


@dataclasses.dataclass
class Taker:
    """Who has shown a ticket, for what, and until when its requests are taken (BT-3.2-6), on our clock."""

    device: bytes
    target: str
    until: float


class UploadSlots:
    """BT-3.7-4, BT-3.7-5, BT-5.4-2."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.taken: collections.Counter[bytes] = collections.Counter()  # by device
        self.line: list[tuple[bytes]] = []  # of the devices that wait, the longest first

    @contextlib.contextmanager
    def slot(self, device: bytes) -> Iterator[None]:
        place = (device,)

        def is_next() -> bool:
            first = min(self.line, key=lambda waiting: self.taken[waiting[0]])  # of several the first
            return sum(self.taken.values()) < MOST_UPLOADS and first is place

        with self.changed:
            self.line.append(place)
            has_slot = self.changed.wait_for(is_next, SLOT_SECONDS)
            self.line = [waiting for waiting in self.line if waiting is not place]
            self.taken[device] += has_slot
            self.changed.notify_all()
        if not has_slot:
            raise Refusal(codec.BUSY, "all upload slots are taken")
        try:
            yield
        finally:
            with self.changed:
                self.taken[device] -= 1
                self.taken += collections.Counter()
                self.changed.notify_all()


class FileServer:
    """`find_share(target)` is what is served under a target, `find_published(name)` what under a name, or None."""

    def __init__(self, host: ipaddress.IPv4Address | ipaddress.IPv6Address, device_secret: bytes, gate: TicketGate,
                 find_share: Callable[[str], Share | None], find_published: Callable[[str], Published | None]):
        self.device_secret, self.gate = device_secret, gate
        self.find_share, self.find_published = find_share, find_published
        self.listener = socket.create_server((str(host), 0), family=socket.AF_INET6 if host.version == 6
                                             else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()  # for the next three
        self.connections = 0
        self.waiting: dict[socket.socket, str] = {}  # their networks, the oldest first
        self.takers: collections.Counter[bytes] = collections.Counter()  # by device
        self.uploads = UploadSlots()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, address = self.listener.accept()
            except ConnectionError:  # one caller who hung up is no reason to stop
                continue
            if self.admit(connection, network_of(address[0])):
                threading.Thread(target=self.serve, args=(connection, address[0]), daemon=True).start()
            else:
                connection.close()

    def admit(self, connection: socket.socket, network: str) -> bool:
        """The oldest stranger makes room for the next one (BT-5.4-3)."""
        with self.lock:
            counts = collections.Counter(self.waiting.values())
            if counts[network] >= MOST_WAITING_OF_ONE_ADDRESS:
                self.send_away(network)
            elif len(self.waiting) >= MOST_WAITING:
                self.send_away(max(self.waiting.values(), key=lambda waiting: counts[waiting]))
            if self.connections >= MOST_CONNECTIONS:
                return False
            self.connections += 1
            self.waiting[connection] = network
            return True

    def send_away(self, network: str) -> None:
        oldest = next(connection for connection, waiting in self.waiting.items() if waiting == network)
        del self.waiting[oldest]
        with contextlib.suppress(OSError):
            oldest.shutdown(socket.SHUT_RDWR)  # its thread closes it

    def stop_waiting(self, connection: socket.socket) -> None:
        with self.lock:
            self.waiting.pop(connection, None)

    def admit_taker(self, device: bytes) -> bool:
        with self.lock:
            if sum(self.takers.values()) >= MOST_TAKERS or self.takers[device] >= MOST_OF_ONE_DEVICE:
                return False
            self.takers[device] += 1
            return True

    def end(self, taker: Taker | None) -> None:
        with self.lock:
            self.connections -= 1
            if taker:
                self.takers[taker.device] -= 1
                self.takers += collections.Counter()

    def serve(self, connection: socket.socket, host: str) -> None:
        taker = None
        with connection, contextlib.ExitStack() as place:
            place.callback(self.stop_waiting, connection)
            stream = Stream(connection)
            stream.expect_within(FIRST_SECONDS)
            try:
                first = stream.receive(1, socket.MSG_PEEK)  # BT-1.1-1
                if first == b"G" and ipaddress.ip_address(host).is_loopback:  # BT-4.3-5
                    self.serve_legacy(stream, place)
                elif first == bytes((codec.MAGIC,)):
                    responder, taker = self.read_initiate(stream)
                    stream.send(seal.STREAM_ACCEPT_HEADER + responder.write_message_2(b""))
                    place.close()  # this connection has shown a ticket; its place is another's now
                    receiving, sending = responder.split()
                    self.serve_sealed(SealedStream(stream, sending, receiving, codec.MOST_PAYLOAD_BYTES), taker)
            except (OSError, ProtocolError):
                pass  # BT-1.3-2, BT-5.4-1, BT-6.6-2, BT-6.6-5: closing is the whole answer
            finally:
                self.end(taker)

    # --- Sealed ---

    def read_initiate(self, stream: Stream) -> tuple[seal.Responder, Taker]:
        """ProtocolError before a byte was sent, where anything is wrong (BT-6.6-2)."""
        if stream.receive_exactly(codec.HEADER.size) != seal.STREAM_INITIATE_HEADER:
            raise ProtocolError("a stream begins with Initiate")
        responder = seal.stream_responder(self.device_secret)
        payload = responder.read_message_1(stream.receive_exactly(seal.STREAM_INITIATE_BYTES))
        ticket, target = seal.read_stream_payload(payload)
        taker = Taker(responder.initiator_public, target, 0.0)
        if not self.show(ticket, taker) or not self.admit_taker(taker.device):
            raise ProtocolError("that is no ticket for this device and this target, or there are too many")
        return responder, taker

    def show(self, ticket: bytes, taker: Taker) -> bool:
        """Whether the ticket is good for the taker (BT-6.7-4); it then is one until the ticket ends."""
        end_ms = self.gate.admit(ticket, taker.device, taker.target)
        if end_ms is None:
            return False
        # On our own clock: that of the index begins anew when it is restarted.
        taker.until = time.monotonic() + (end_ms - self.gate.now_ms()) / 1000
        return True

    def serve_sealed(self, sealed: SealedStream, taker: Taker) -> None:
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
                request = codec.decode_frame(header, payload)
                if request.kind not in REQUESTS:
                    raise codec.Malformed(f"a {request.kind} has no place here", codec.UNEXPECTED_KIND)
                if request.kind != "Renew" and not self.gate.is_good_still(taker.until):
                    refuse(sealed, header, codec.NO_TICKET, "the ticket has ended")
                    return sealed.stream.finish()  # BT-6.6-6
                self.answer(sealed, taker, request)
            except codec.Malformed as error:
                refuse(sealed, header, error.refusal_code, str(error))
            except Refusal as refusal:  # ends this answer alone, wherever it stands (BT-3.3-2)
                refuse(sealed, header, refusal.code, str(refusal))
            sealed.stream.expect_within(SILENCE_SECONDS)

    def answer(self, sealed: SealedStream, taker: Taker, request: codec.Frame) -> None:
        def send(kind: str, value: object) -> None:
            sealed.send_frame(kind, request.encoding, request.request_id, value)

        if request.kind == "Renew":  # BT-3.2-6
            if not self.show(bytes.fromhex(request.value["ticket"]), taker):
                raise Refusal(codec.NO_TICKET, "that isn't a new ticket for this target")
            return send("Renewed", {})
        share = self.find_share(taker.target)
        if share is None:
            raise Refusal(codec.NOT_SHARED, "this isn't shared here")
        share.check()
        if request.kind == "Describe":
            return send("Described", share.described())
        if request.kind == "AskHave":
            first = request.value["first"]
            return send("Have", {"first": first, "bitmap": share.bitmap(first)})
        with self.uploads.slot(taker.device):
            sealed.stream.travel()
            for unit in units(share, request.value):
                if self.find_share(taker.target) is None:
                    raise Refusal(codec.NOT_SHARED, "this isn't shared here any more")  # BT-3.7-1
                for start in range(0, len(unit), codec.MOST_DATA_BYTES):
                    send("Data", unit[start:start + codec.MOST_DATA_BYTES])  # BT-3.3-1

    # --- Legacy ---

    def serve_legacy(self, stream: Stream, place: contextlib.ExitStack) -> None:
        """Files alone, and no folder (BT-4.3-3)."""
        try:
            share = self.find_published(receive_get(stream))
            place.close()
            if share is None or share.manifest is not None:
                raise Refusal(codec.NOT_SHARED, "this isn't shared here")
            with self.uploads.slot(b""):
                stream.travel()
                for piece in range(share.layout.pieces):
                    stream.send(share.read_piece(piece))
        except (Refusal, ValueError, OSError):
            stream.reset()
        else:
            stream.finish()


def network_of(host: str) -> str:
    """What BT-5.4-3 counts: an IPv4 address or IPv6 /64."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


def refuse(sealed: SealedStream, header: codec.Header, code: int, sentence: str) -> None:
    """In the encoding of the question where a structured answer can be written in it, else in JSON (BT-1.6-2)."""
    encoding = "bincode" if header.encoding == codec.ENCODINGS["bincode"] else "json"
    sealed.send_frame("Refused", encoding, header.request_id, {"code": code, "sentence": sentence})


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
