"""Holds primitives.py against answers that their documents publish: `python3 check_primitives.py`."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator

from primitives import (BASE_POINT, AesGcm, BadTag, blake3, blake3_derive_key, blake3_keyed, blake3_merged,
                        blake3_subtree, encrypt_words, expand_key, public_key, x25519)


def from_hex(digits: str) -> bytes:
    return bytes.fromhex(digits)


def x25519_answers() -> Iterator[tuple[str, bytes, str]]:
    """RFC 7748, sections 5.2 and 6.1."""
    yield ("X25519 1", x25519(from_hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                              from_hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")),
           "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    k, u = BASE_POINT, BASE_POINT
    for i in range(1, 1001):
        k, u = x25519(k, u), k
        if i == 1:
            yield "X25519 once", k, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
    yield "X25519 1,000 times", k, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"
    alice = from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = from_hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    yield "X25519 Alice", public_key(alice), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    yield "X25519 Bob", public_key(bob), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    for name, shared in (("one", x25519(alice, public_key(bob))), ("other", x25519(bob, public_key(alice)))):
        yield f"X25519 shared, {name}", shared, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"


def aes_answers() -> Iterator[tuple[str, bytes, str]]:
    """FIPS 197, C.3, and the test cases 13, 14 and 16 of GCM's submission."""
    block = struct.unpack(">4I", from_hex("00112233445566778899aabbccddeeff"))
    encrypted = struct.pack(">4I", *encrypt_words(expand_key(bytes(range(32))), *block))
    yield "AES-256", encrypted, "8ea2b7ca516745bfeafc49904b496089"
    zeros = AesGcm(bytes(32))
    yield "GCM 13", zeros.encrypt(bytes(12), b"", b""), "530f8afbc74536b9a963b4f1c4cb738b"
    yield ("GCM 14", zeros.encrypt(bytes(12), b"", bytes(16)),
           "cea7403d4d606b6e074ec5d3baf39d18" "d0d1c8a799996bf0265b98b5d48ab919")
    cipher = AesGcm(from_hex("feffe9928665731c6d6a8f9467308308" * 2))
    nonce = from_hex("cafebabefacedbaddecaf888")
    associated = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plaintext = from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39")
    sealed = cipher.encrypt(nonce, associated, plaintext)
    yield ("GCM 16", sealed, "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                             "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                             "76fc6ece0f4e1768cddf8853bb2d551b")
    yield "GCM 16, opened", cipher.decrypt(nonce, associated, sealed), plaintext.hex()
    for i in range(len(sealed)):
        changed = bytearray(sealed)
        changed[i] ^= 1
        try:
            cipher.decrypt(nonce, associated, bytes(changed))
            yield f"GCM 16 with byte {i} changed", b"opened", "refused"
        except BadTag:
            pass


def blake3_answers() -> Iterator[tuple[str, bytes, str]]:
    """BLAKE3's test_vectors.json: the input is the bytes 0 to 250, again and again."""
    for length, answer in (
        (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
        (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
        (1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"),
        (1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"),
        (2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"),
        (102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"),
    ):
        yield f"BLAKE3 of {length}", blake3(bytes(i % 251 for i in range(length))), answer
    yield ("BLAKE3 keyed", blake3_keyed(b"whats the Elvish word for friend", b""),
           "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26")
    yield ("BLAKE3 derived", blake3_derive_key("BLAKE3 2019-12-27 16:29:52 test vectors context", b""),
           "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d")


def subtree_answers() -> Iterator[tuple[str, bytes, str]]:
    """Cut into subtrees of 2^n chunks and merged, a hash is the same. Nobody publishes such an answer."""
    for length in (1025, 4096, 7 * 1024, 40_000):
        data = bytes(i % 251 for i in range(length))
        for chunks in (1, 2, 4, 32):
            starts = range(0, length, 1024 * chunks)
            if len(starts) > 1:
                values = [blake3_subtree(data[start:start + starts.step], start // 1024) for start in starts]
                yield f"BLAKE3 of {length} in {len(starts)}", blake3_merged(values), blake3(data).hex()


def wrong_answers() -> Iterator[str]:
    for answers in (x25519_answers(), aes_answers(), blake3_answers(), subtree_answers()):
        for name, found, answer in answers:
            if found.hex() != answer:
                yield f"{name}: {found.hex()}, published is {answer}"


if __name__ == "__main__":
    wrong = list(wrong_answers())
    print("\n".join(wrong) or "the primitives agree")
    sys.exit(bool(wrong))
