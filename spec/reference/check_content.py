"""Holds content.py against content.json, and what 3.8 says of a journal, which this client doesn't keep.

check_vectors.py calls it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from content import (FOLDER, PIECE_BYTES, Layout, NoManifest, NotRight, file_layout, manifest_layout, read_entries,
                     write_manifest)
from primitives import blake3
from values import TARGET


def sample(count: int) -> bytes:
    """What the file says of its contents."""
    return bytes((n // 251 ^ n) & 0xFF for n in range(count))


def content_sentences(vector: dict) -> Iterator[str]:
    """BT-3.1-3 to BT-3.1-7."""
    data, root = sample(vector["bytes"]), bytes.fromhex(vector["root"])
    values = [bytes.fromhex(value) for value in vector["values"]]
    if blake3(data) != root:
        yield f"the root is {blake3(data).hex()}"
    layout = file_layout(len(data), root)
    if layout.outline_values != len(values):
        yield f"there are {layout.outline_values} values"
        return
    if not leads_to_root(layout, values):
        yield "the values don't lead to the root"
    for changed in range(len(values)):
        if leads_to_root(layout, [*values[:changed], bytes(32), *values[changed + 1:]]):
            yield f"it isn't seen that value {changed} isn't right"
    for piece in range(layout.pieces):
        if not layout.is_right(values, piece, data[piece * PIECE_BYTES:(piece + 1) * PIECE_BYTES]):
            yield f"piece {piece} isn't right"


def leads_to_root(layout: Layout, values: list[bytes]) -> bool:
    try:
        layout.check_outline(values)
        return True
    except NotRight:
        return False


def manifest_sentences(vector: dict) -> Iterator[str]:
    """BT-3.6-1 to BT-3.6-4."""
    manifest = bytes.fromhex(vector["hex"])
    found = [entry_in_json(*entry) for entry in read_entries(manifest)]
    if found != vector["entries"]:
        yield f"the entries are {json.dumps(found)}"
    entries = [(entry["kind"], tuple(entry["path"].split("/")), entry.get("file_bytes", 0),
                bytes.fromhex(entry.get("root", ""))) for entry in vector["entries"]]
    if write_manifest(reversed(entries)) != manifest:
        yield f"written again it is {write_manifest(entries).hex()}"
    if blake3(manifest).hex() != vector["root"]:
        yield f"the root is {blake3(manifest).hex()}"
    layout = manifest_layout(manifest)
    if len(layout.folders) + len(layout.files) != len(entries):
        yield "not every entry is in the layout"


def entry_in_json(kind: int, path: tuple[str, ...], file_bytes: int, root: bytes | None) -> dict:
    entry = {"kind": kind, "path": "/".join(path)}
    return entry if kind == FOLDER else {**entry, "file_bytes": file_bytes, "root": root.hex()}


def refused_sentences(vector: dict) -> Iterator[str]:
    try:
        manifest_layout(bytes.fromhex(vector["hex"]))
        yield "it isn't refused"
    except NoManifest:
        pass


def journal_sentences(vector: dict) -> Iterator[str]:
    """BT-3.8-2."""
    records = list(read_journal(bytes.fromhex(vector["hex"])))
    header = journal_header(vector)
    if not records or records[0] != (1, header):
        yield f"it doesn't begin with the header {header.hex()}"
    claimed = [[int.from_bytes(body[at:at + 4], "big"), int.from_bytes(body[at + 4:at + 8], "big")]
               for kind, body in records[1:] if kind == 2 for at in range(0, len(body), 8)]
    if claimed != vector["claimed"]:
        yield f"it claims {claimed}"


def read_journal(journal: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each record, up to the first that isn't right (BT-3.8-4)."""
    position = 0
    while position < len(journal):
        body_bytes = int.from_bytes(journal[position:position + 2], "big")
        end = position + 3 + body_bytes
        record = journal[position:end]
        if journal[end:end + 8] != blake3(position.to_bytes(8, "big") + record)[:8]:
            return
        yield record[2], record[3:]
        position = end + 8


def journal_header(vector: dict) -> bytes:
    target, final_name = (vector[field].encode("utf-8") for field in ("target", "final_name"))
    TARGET.check(vector["target"])
    return (b"BTJ1" + vector["file_bytes"].to_bytes(8, "big") + bytes((vector["is_folder"],))
            + vector["pieces"].to_bytes(4, "big") + len(target).to_bytes(2, "big") + target
            + len(final_name).to_bytes(2, "big") + final_name)


SECTIONS = {"contents": content_sentences, "manifests": manifest_sentences, "refused_manifests": refused_sentences,
            "journals": journal_sentences}


def disagreements(file: dict) -> tuple[int, list[str]]:
    """How many vectors there are, and what is wrong with them."""
    sentences = [f"no section {section} is known here" for section in file if section not in (*SECTIONS, "about")]
    checked = 0
    for section, look in SECTIONS.items():
        for vector in file[section]:
            checked += 1
            name = vector.get("name") or f"{vector['bytes']} bytes"
            sentences += [f"{section}: {name}: {sentence}" for sentence in look(vector)]
    return checked, sentences
