"""A small BitTrickle client, written from the specification alone, for Python 3.9 and later.

    python3 client.py join INVITE --user NAME --password-file FILE --state-dir DIR
    python3 client.py run --state-dir DIR [--encoding json|bincode] [--dir DIR] [--renew-after SECONDS]

`join` makes this device the member's and keeps the server's key. `run` logs in, then reads commands from standard
input, one a line, and answers each with one JSON object on one line. A download shows its source a new ticket when the
one before is so old. The commands:

    publish NAME         a file or a folder of DIR; it is hashed first
    unpublish NAME
    search TEXT
    find FILTER          a JSON object with `text` and the fields of a filter (BT-2.7), as many of them as are asked for
    locate TARGET
    fetch NAME           into DIR; `fetch root:DIGITS NAME` where the name is listed with several contents
    peers, files, heartbeat, logout

To be read beside the specification: values.py and codec.py (parts 1 and 2), index.py, peer.py and recall.py (part 2), content.py,
shares.py and file_server.py (part 3 and, for `GET`, part 4: who provides), download.py, part.py and transfer.py (the
same: who fetches), identity.py, seal.py, stream.py and tickets.py (part 6), noise.py and primitives.py (the documents
that part 6 builds on).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable

from identity import State, read_invite
from index import HandshakeFailed, Index
from peer import RENEW_SECONDS, Peer
from values import ProtocolError, Refusal

FAREWELL_SECONDS = 2.0
ENROL_SECONDS = 30.0  # BT-2.11-5


def run_command(peer: Peer, command: str, argument: str) -> object:
    lists = {"peers": ("ListPeers", "members"), "files": ("ListFiles", "files")}
    with_argument = {"publish": peer.publish, "unpublish": peer.unpublish, "locate": peer.locate, "fetch": peer.fetch,
                     "find": lambda text: find(peer, text)}
    if command == "search":  # the empty query hits every name (BT-2.7-1)
        return peer.search(argument)
    if argument and command in with_argument:
        return with_argument[command](argument)
    if not argument and command in lists:
        return peer.listed(*lists[command])
    with peer.commands:
        if not argument and command == "heartbeat":
            return peer.heartbeat()
        if not argument and command == "logout":
            return peer.logout()
    raise ProtocolError("no such command, or not with these words")


def find(peer: Peer, text: str) -> list[dict]:
    try:
        wanted = {"text": "", **json.loads(text)}
    except (ValueError, TypeError):
        raise ProtocolError("find takes a JSON object") from None
    return peer.search(**wanted)


def report(command: str, action: Callable[[], object]) -> bool:
    """Prints what came of a command, on one line; returns whether it went well."""
    try:
        outcome = {"ok": True, "result": action()}
    except Refusal as refusal:
        outcome = {"ok": False, "code": refusal.code, "sentence": str(refusal)}
    except (OSError, ProtocolError, HandshakeFailed) as error:
        outcome = {"ok": False, "code": None, "sentence": str(error)}
    print(json.dumps({"command": command, **outcome}), flush=True)
    return outcome["ok"]


def join(arguments: argparse.Namespace) -> dict:
    """BT-6.2-4, BT-2.11."""
    invite = read_invite(arguments.invite)
    state = State(arguments.state_dir)
    state.check_pinned(invite)
    with open(arguments.password_file, encoding="utf-8", errors="surrogateescape") as file:
        password = file.read().removesuffix("\n")
    index = Index(invite, state.device_secret(), arguments.encoding)
    index.connect()  # proves the server's key; the password is sent to nobody else
    answer = index.ask("Enrol", ENROL_SECONDS, member=arguments.user, password=password)
    state.pin(invite)
    return answer


def run(arguments: argparse.Namespace) -> bool:
    sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")  # what isn't UTF-8 is refused as a name
    peer = None

    def start() -> dict:
        nonlocal peer
        peer = Peer(State(arguments.state_dir), arguments.encoding, arguments.dir, arguments.renew_after)
        return peer.start()

    if not report("login", start):
        return False
    for line in sys.stdin:
        command, _, argument = line.rstrip("\n").partition(" ")
        if command:
            report(command, lambda: run_command(peer, command, argument))
    if not peer.logged_out.is_set():
        # Nobody waits for the outcome: the index ends a silent session by itself (BT-2.3-4).
        with contextlib.suppress(Refusal, TimeoutError, ProtocolError):
            peer.logout(FAREWELL_SECONDS)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description="A small BitTrickle client.")
    for_both = argparse.ArgumentParser(add_help=False)
    for_both.add_argument("--state-dir", required=True, metavar="DIR")
    for_both.add_argument("--encoding", choices=("json", "bincode"), default="json")
    commands = parser.add_subparsers(dest="command", required=True)
    joining = commands.add_parser("join", parents=[for_both])
    joining.add_argument("invite", metavar="INVITE")
    joining.add_argument("--user", required=True, metavar="NAME")
    joining.add_argument("--password-file", required=True, metavar="FILE")
    running = commands.add_parser("run", parents=[for_both])
    running.add_argument("--dir", default=".", metavar="DIR")
    running.add_argument("--renew-after", type=float, default=RENEW_SECONDS, metavar="SECONDS")
    arguments = parser.parse_args()
    went_well = report("join", lambda: join(arguments)) if arguments.command == "join" else run(arguments)
    sys.exit(0 if went_well else 1)


if __name__ == "__main__":
    main()
