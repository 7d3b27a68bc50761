"""From peer to peer over TCP: the file server and fetching, in frames (part 3) and legacy `GET` (BT-4.3)."""

import contextlib
import ipaddress
import os
import socket
import stat
import struct
import sys
import tempfile
import threading
import time

import codec
from values import split_address

CONNECT_SECONDS = 5.0  # BT-5.4-1, as are the next four
FIRST_SECONDS = 5.0
SILENCE_SECONDS = 30.0
PACE_SECONDS = 30.0
PACE_BYTES = 4_096 * 30
MOST_WAITING, MOST_UPLOADS = 64, 32  # BT-5.4-2
MOST_GET_BYTES = 1_024  # BT-4.3-1
GET_PAUSE_SECONDS = 0.05  # BT-4.3-2
MOST_LEGACY_FILE_BYTES = 1 << 40  # BT-4.3-4


class Refusal(Exception):
    """The other side answered with `Refused` (BT-2.10)."""

    def __init__(self, code, sentence):
        super().__init__(sentence)
        self.code = code


def is_loopback(host):
    return ipaddress.ip_address(host).is_loopback


class Stream:
    """A TCP connection with the deadlines of BT-5.4-1."""

    def __init__(self, connection):
        self.connection = connection
        self.deadline = 0.0
        self.window_bytes = None

    def expect_within(self, seconds):
        """One deadline for all that follows: bytes that trickle in don't move it."""
        self.deadline = time.monotonic() + seconds
        self.window_bytes = None

    def travel(self):
        """From here on a file travels: each PACE_BYTES have PACE_SECONDS."""
        self.deadline = time.monotonic() + PACE_SECONDS
        self.window_bytes = 0

    def wait(self):
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the other side is too slow")
        self.connection.settimeout(remaining)

    def moved(self, count):
        if self.window_bytes is not None:
            self.window_bytes += count
            if self.window_bytes >= PACE_BYTES:
                self.travel()

    def receive(self, most, flags=0):
        self.wait()
        part = self.connection.recv(most, flags)
        self.moved(len(part))
        return part

    def send(self, data):
        # Not sendall: its time-out would not see that some of the data goes out.
        view = memoryview(data)
        while view:
            self.wait()
            sent = self.connection.send(view)
            self.moved(sent)
            view = view[sent:]

    def receive_exactly(self, count):
        data = bytearray()
        while len(data) < count:
            part = self.receive(count - len(data))
            if not part:
                raise codec.FramingLost("the stream ends in the middle of a frame")
            data += part
        return bytes(data)

    def receive_frame(self):
        """A frame that answers `Fetch`."""
        header = codec.decode_header(self.receive_exactly(codec.HEADER.size), codec.MOST_DATA_BYTES)
        return codec.decode_frame(header, self.receive_exactly(header.payload_bytes))

    def finish(self):
        """Ends our side and waits for the other's: closing with unread bytes would reset, and take away what
        the other side hasn't read yet."""
        self.connection.shutdown(socket.SHUT_WR)
        self.expect_within(FIRST_SECONDS)
        while self.receive(codec.MOST_DATA_BYTES):
            pass

    def reset(self):
        """Lets the other side see a failure where an end would mean success (BT-4.3-3)."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


# --- The file server -----------------------------------------------------------------------------------


class FileServer:
    """Serves published files. `find_path(name)` is the path of a published file, or None (BT-3.1-1)."""

    def __init__(self, host, find_path):
        self.find_path = find_path
        self.listener = socket.create_server((str(host), 0), family=socket.AF_INET6 if host.version == 6
                                             else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self.waiting = threading.Semaphore(MOST_WAITING)
        self.uploads = threading.Semaphore(MOST_UPLOADS)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, address = self.listener.accept()
            except ConnectionError:  # one caller who hung up is no reason to stop
                continue
            if is_loopback(address[0]) and self.waiting.acquire(blocking=False):  # BT-1.8-1, BT-4.3-5, BT-5.4-2
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()
            else:
                connection.close()

    def serve(self, connection):
        with connection, contextlib.ExitStack() as place:
            place.callback(self.waiting.release)
            stream = Stream(connection)
            stream.expect_within(FIRST_SECONDS)
            try:
                first = stream.receive(1, socket.MSG_PEEK)  # BT-1.1-1
                if first == b"G":
                    self.serve_legacy(stream, place)
                elif first == bytes((codec.MAGIC,)):
                    self.serve_frames(stream, place)
            except (OSError, codec.FramingLost):
                pass  # BT-1.3-2, BT-5.4-1: closing is the whole answer

    def serve_frames(self, stream, place):
        while True:
            header = codec.decode_header(stream.receive_exactly(codec.HEADER.size))
            is_answer = header.kind >= codec.FIRST_ANSWER
            if not codec.is_spoken(header):
                if not is_answer:  # BT-1.6-3 holds in every version (BT-1.7-1)
                    versions = {"lowest": codec.VERSION, "highest": codec.VERSION}
                    stream.send(codec.encode_frame("Versions", "raw", header.request_id, versions))
                    stream.finish()
                return  # BT-1.7-2
            payload = stream.receive_exactly(header.payload_bytes)
            place.close()  # this connection has sent a request; its place is another's now
            stream.expect_within(SILENCE_SECONDS)
            if is_answer:
                continue
            try:
                self.upload(stream, codec.decode_frame(header, payload, expected="Fetch"))
            except codec.Malformed as error:
                refuse(stream, header, error.refusal_code, str(error))
            except Refusal as refusal:
                refuse(stream, header, refusal.code, str(refusal))
            stream.expect_within(SILENCE_SECONDS)

    def upload(self, stream, request):
        """BT-3.3-1, BT-3.3-2. Refusal is raised only before the first byte goes out."""
        with self.opened(request.value["name"]) as (file, file_bytes):
            def answer(kind, value):
                stream.send(codec.encode_frame(kind, request.encoding, request.request_id, value))

            stream.travel()
            answer("Content", {"file_bytes": file_bytes})
            for part in exact_parts(file, file_bytes):
                answer("Data", part)
            answer("Done", {})

    def serve_legacy(self, stream, place):
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
    def opened(self, name):
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


def refuse(stream, header, code, sentence):
    """In the encoding of the question where a structured answer can be written in it, else in JSON (BT-1.6-2)."""
    encoding = "bincode" if header.encoding == codec.ENCODINGS["bincode"] else "json"
    stream.send(codec.encode_frame("Refused", encoding, header.request_id, {"code": code, "sentence": sentence}))


def exact_parts(file, file_bytes):
    """As many bytes as were promised, in parts that fit a `Data` frame (BT-3.3-2)."""
    remaining = file_bytes
    while remaining:
        part = file.read(min(remaining, codec.MOST_DATA_BYTES))
        if not part:
            raise OSError("the file has shrunk")
        remaining -= len(part)
        yield part


def receive_get(stream):
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


# --- Fetching ------------------------------------------------------------------------------------------


def fetch(source, name, encoding, final_path):
    """Fetches a published file from a source of `Located`; returns its size."""
    # Asked before anything travels; that nothing is replaced is seen to again when the name is given.
    if os.path.lexists(final_path):
        raise FileExistsError(f"{final_path} exists already")
    host, port = split_address(source["address"])
    if not host.is_loopback:
        raise codec.ProtocolError("sessions are not sealed yet: only loopback addresses are spoken to")  # BT-1.8-1
    with socket.create_connection((str(host), port), timeout=CONNECT_SECONDS) as connection:
        stream = Stream(connection)
        stream.expect_within(FIRST_SECONDS)
        with new_file(final_path) as file:
            if source["legacy"]:
                return fetch_legacy(stream, name, file)
            return fetch_frames(stream, name, encoding, file)


def fetch_frames(stream, name, encoding, file):
    """BT-3.3."""
    request_id = 1  # a connection of our own, with one request
    stream.send(codec.encode_frame("Fetch", encoding, request_id, {"name": name}))
    content = expect_frame(stream, request_id, ("Content",)).value
    stream.travel()
    received = 0
    while (frame := expect_frame(stream, request_id, ("Data", "Done"))).kind == "Data":
        received += len(frame.value)
        if received > content["file_bytes"]:
            raise codec.ProtocolError("the source sent more bytes than it said")
        file.write(frame.value)
    if received != content["file_bytes"]:
        raise codec.ProtocolError("the source sent fewer bytes than it said")
    return received


def expect_frame(stream, request_id, kinds):
    frame = stream.receive_frame()
    if frame.kind == "Versions":
        raise codec.ProtocolError(f"the source speaks versions {frame.value['lowest']} to {frame.value['highest']}")
    if frame.request_id != request_id:
        raise codec.ProtocolError("the source answered another request")
    if frame.kind == "Refused" and "Content" in kinds:
        raise Refusal(frame.value["code"], frame.value["sentence"])
    if frame.kind not in kinds:
        raise codec.ProtocolError(f"the source sent a {frame.kind} out of place")
    return frame


def fetch_legacy(stream, name, file):
    """BT-4.3-4: the end of the stream is all that says the file is there."""
    if name.split() != [name]:
        raise codec.ProtocolError("the legacy format can't ask for a name with white space")
    stream.send(f"GET {name}\n".encode("utf-8"))  # a newline spares the source its pause
    received = 0
    while part := stream.receive(codec.MOST_DATA_BYTES):
        if received == 0:
            stream.travel()
        received += len(part)
        if received > MOST_LEGACY_FILE_BYTES:
            raise codec.ProtocolError("the source sent more than 1 TiB")
        file.write(part)
    print(f"{name}: nothing vouches for the bytes that a legacy source sends"
          + ("; an empty file may be a missing one" if received == 0 else ""), file=sys.stderr)
    return received


@contextlib.contextmanager
def new_file(final_path):
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
