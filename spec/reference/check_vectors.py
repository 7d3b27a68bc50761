"""Holds this client against test vectors: `cd ../vectors; python3 ../reference/check_vectors.py frames.json seal.json
content.json`.

In frames.json each vector has the bytes of a frame beside what they mean. They are decoded, compared, encoded again
and compared again, since every value has one form (BT-1.5-3), and JSON is written without white space (BT-1.5-2).
What is in seal.json is recomputed from its inputs (check_seal.py), what is in content.json as well (check_content.py).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import check_content
import check_seal
import codec


def value_in_json(frame: codec.Frame) -> object:
    """Bytes have no JSON form of their own; the vectors write those of `Data` in hexadecimal."""
    return {"hex": frame.value.hex()} if frame.kind == "Data" else frame.value


def value_from_json(kind: str, value: object) -> object:
    return bytes.fromhex(value["hex"]) if kind == "Data" else value


def canonical(value: object) -> str:
    """Text that differs where the values do; == would take True for 1."""
    return json.dumps(value, sort_keys=True)


def disagreements(vector: dict) -> Iterator[str]:
    frame_bytes = bytes.fromhex(vector["hex"])
    try:
        header = codec.decode_header(frame_bytes[:codec.HEADER.size], codec.MOST_DATA_BYTES)
        payload = frame_bytes[codec.HEADER.size:]
        if len(payload) != header.payload_bytes:
            yield f"the header declares {header.payload_bytes} bytes, {len(payload)} follow"
            return
        frame = codec.decode_frame(header, payload)
    except (codec.ProtocolError, codec.struct.error) as error:
        yield f"can't be decoded: {error}"
        return
    found = {"kind": frame.kind, "encoding": frame.encoding, "request_id": frame.request_id,
             "value": value_in_json(frame)}
    for field, value in found.items():
        if canonical(value) != canonical(vector[field]):
            yield f"{field} is {canonical(value)}, the vector says {canonical(vector[field])}"
    try:
        again = codec.encode_frame(vector["kind"], vector["encoding"], vector["request_id"],
                                   value_from_json(vector["kind"], vector["value"]))
    except (codec.ProtocolError, codec.struct.error, LookupError, TypeError, ValueError) as error:
        yield f"the value can't be encoded: {error!r}"
        return
    if again != frame_bytes:
        yield f"encoded again it is {again.hex()}, the vector says {frame_bytes.hex()}"


def check(path: str) -> tuple[int, list[str]]:
    """How many vectors there are, and what is wrong with them."""
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    if "inputs" in content:
        return check_seal.disagreements(content)
    if "contents" in content:
        return check_content.disagreements(content)
    vectors = content["vectors"]
    return len(vectors), [f"{vector['name']}: {sentence}" for vector in vectors for sentence in disagreements(vector)]


def main(paths: list[str]) -> None:
    checked, wrong = 0, []
    for path in paths:
        count, sentences = check(path)
        checked += count
        wrong += sentences
    if wrong or not checked:
        sys.exit("\n".join(wrong) or "there are no vectors")
    print(f"{checked} vectors agree")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python3 check_vectors.py VECTORS.json...")
    main(sys.argv[1:])
