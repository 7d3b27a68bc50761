"""X25519 (RFC 7748), AES-256-GCM (FIPS 197, SP 800-38D) and BLAKE3, written plainly.

For tests, and to be read beside those documents. Not for secrets in production: how long it takes depends on the
secrets, and they stay in memory.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence

# --- X25519 (RFC 7748, section 5) ------------------------------------------------------------------------

P = 2**255 - 19
A24 = 121665
BASE_POINT = (9).to_bytes(32, "little")


def x25519(secret: bytes, point: bytes) -> bytes:
    scalar = int.from_bytes(secret, "little")
    scalar &= ~7 & ~(1 << 255)
    scalar |= 1 << 254
    x1 = int.from_bytes(point, "little") % (1 << 255)
    x2, z2, x3, z3 = 1, 0, x1, 1
    swapped = 0
    for t in range(254, -1, -1):
        bit = scalar >> t & 1
        if bit != swapped:
            x2, x3, z2, z3 = x3, x2, z3, z2
            swapped = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + A24 * e) % P
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public_key(secret: bytes) -> bytes:
    return x25519(secret, BASE_POINT)


# --- AES-256 (FIPS 197) ----------------------------------------------------------------------------------


def doubled(byte: int) -> int:
    """Times x in AES's field."""
    return byte << 1 if byte < 0x80 else byte << 1 ^ 0x11B


def make_s_box() -> list[int]:
    """Section 5.1.1: the inverse in the field, and then an affine map."""
    powers = [1]  # of x + 1, which generates all but 0
    while len(powers) < 255:
        powers.append(powers[-1] ^ doubled(powers[-1]))
    logarithms = {power: exponent for exponent, power in enumerate(powers)}
    box = []
    for byte in range(256):
        inverse = powers[-logarithms[byte] % 255] if byte else 0
        rotations = inverse | inverse << 8
        mapped = 0x63
        for shift in range(5):
            mapped ^= rotations >> (8 - shift) & 0xFF
        box.append(mapped)
    return box


S_BOX = make_s_box()
# What SubBytes and MixColumns together make of a byte in the first row of a column; other rows are rotations of it.
T0 = [doubled(s) << 24 | s << 16 | s << 8 | (doubled(s) ^ s) for s in S_BOX]
T1 = [word >> 8 | (word & 0xFF) << 24 for word in T0]
T2 = [word >> 8 | (word & 0xFF) << 24 for word in T1]
T3 = [word >> 8 | (word & 0xFF) << 24 for word in T2]


def substitute_word(word: int) -> int:
    return S_BOX[word >> 24] << 24 | S_BOX[word >> 16 & 255] << 16 | S_BOX[word >> 8 & 255] << 8 | S_BOX[word & 255]


def expand_key(key: bytes) -> list[int]:
    """Section 5.2: 15 round keys of four words."""
    words = list(struct.unpack(">8I", key))
    round_constant = 1
    for i in range(8, 60):
        word = words[-1]
        if i % 8 == 0:
            word = (word << 8 | word >> 24) & 0xFFFFFFFF
            word = substitute_word(word) ^ round_constant << 24
            round_constant = doubled(round_constant)
        elif i % 8 == 4:
            word = substitute_word(word)
        words.append(words[-8] ^ word)
    return words


def encrypt_words(keys: list[int], a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    """One block, as its four columns."""
    t0, t1, t2, t3, s = T0, T1, T2, T3, S_BOX
    a, b, c, d = a ^ keys[0], b ^ keys[1], c ^ keys[2], d ^ keys[3]
    for i in range(4, 56, 4):
        a, b, c, d = (
            t0[a >> 24] ^ t1[b >> 16 & 255] ^ t2[c >> 8 & 255] ^ t3[d & 255] ^ keys[i],
            t0[b >> 24] ^ t1[c >> 16 & 255] ^ t2[d >> 8 & 255] ^ t3[a & 255] ^ keys[i + 1],
            t0[c >> 24] ^ t1[d >> 16 & 255] ^ t2[a >> 8 & 255] ^ t3[b & 255] ^ keys[i + 2],
            t0[d >> 24] ^ t1[a >> 16 & 255] ^ t2[b >> 8 & 255] ^ t3[c & 255] ^ keys[i + 3],
        )
    return (
        (s[a >> 24] << 24 | s[b >> 16 & 255] << 16 | s[c >> 8 & 255] << 8 | s[d & 255]) ^ keys[56],
        (s[b >> 24] << 24 | s[c >> 16 & 255] << 16 | s[d >> 8 & 255] << 8 | s[a & 255]) ^ keys[57],
        (s[c >> 24] << 24 | s[d >> 16 & 255] << 16 | s[a >> 8 & 255] << 8 | s[b & 255]) ^ keys[58],
        (s[d >> 24] << 24 | s[a >> 16 & 255] << 16 | s[b >> 8 & 255] << 8 | s[c & 255]) ^ keys[59],
    )


# --- GCM (SP 800-38D) ------------------------------------------------------------------------------------

TAG_BYTES = 16


class BadTag(Exception):
    """What was sealed has been changed, or with another key, counter or associated data."""


def multiples_of(h: int) -> list[list[int]]:
    """For each of a block's 16 bytes, what each value of it gives when it is multiplied by H (section 6.3).

    The first bit of a block is the factor of x^0. Multiplication is linear, so a block's product is the sum of
    those of its bytes, and those are sums of the products of their bits.
    """
    products_of_bits = []
    for _ in range(128):
        products_of_bits.append(h)
        h = h >> 1 ^ (0xE1 << 120 if h & 1 else 0)
    tables = []
    for position in range(16):
        table = [0]
        for value in range(1, 256):
            lowest = value & -value
            bit = 8 - lowest.bit_length()
            table.append(table[value ^ lowest] ^ products_of_bits[8 * position + bit])
        tables.append(table)
    return tables


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


class AesGcm:
    """AES-256-GCM with nonces of 12 bytes and tags of 16."""

    def __init__(self, key: bytes):
        self.keys = expand_key(key)
        h = struct.pack(">4I", *encrypt_words(self.keys, 0, 0, 0, 0))
        self.tables = multiples_of(int.from_bytes(h, "big"))

    def key_stream(self, nonce: bytes, blocks: int) -> bytes:
        """The encrypted counters from 1 on: the first one hides the tag, the others the text (section 7.1)."""
        a, b, c = struct.unpack(">3I", nonce)
        words: list[int] = []
        for counter in range(1, blocks + 1):
            words += encrypt_words(self.keys, a, b, c, counter)
        return struct.pack(f">{len(words)}I", *words)

    def hash(self, associated: bytes, ciphertext: bytes) -> bytes:
        """GHASH (section 6.4)."""
        data = padded(associated) + padded(ciphertext)
        data += struct.pack(">QQ", 8 * len(associated), 8 * len(ciphertext))
        tables = self.tables
        state = 0
        for start in range(0, len(data), 16):
            state ^= int.from_bytes(data[start:start + 16], "big")
            product = 0
            for table, byte in zip(tables, state.to_bytes(16, "big")):
                product ^= table[byte]
            state = product
        return state.to_bytes(16, "big")

    def encrypt(self, nonce: bytes, associated: bytes, plaintext: bytes) -> bytes:
        stream = self.key_stream(nonce, 1 + (len(plaintext) + 15) // 16)
        ciphertext = xor(plaintext, stream[16:])
        return ciphertext + xor(self.hash(associated, ciphertext), stream)

    def decrypt(self, nonce: bytes, associated: bytes, sealed: bytes) -> bytes:
        if len(sealed) < TAG_BYTES:
            raise BadTag
        ciphertext, tag = sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]
        mask = self.key_stream(nonce, 1)
        if not hmac.compare_digest(tag, xor(self.hash(associated, ciphertext), mask)):
            raise BadTag
        return xor(ciphertext, self.key_stream(nonce, 1 + (len(ciphertext) + 15) // 16)[16:])


def xor(data: bytes, mask: bytes) -> bytes:
    """As long as `data`; the mask may be longer."""
    mask = mask[:len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(data), "big")


# --- BLAKE3 -------------------------------------------------------------------------------------------------

CHUNK_BYTES, BLOCK_BYTES = 1024, 64
Value = tuple  # eight words, a chaining value
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT, KEYED_HASH, DERIVE_KEY_CONTEXT, DERIVE_KEY_MATERIAL = (1 << i for i in range(7))
COLUMNS_AND_DIAGONALS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)


# A *lane word* is one word each of any number of blocks, side by side in one int, 64 bits apart so that sums have
# room. What is done to it is done to all of these blocks at once: Python is slow at each step, not at long ints.


def lane_word(words: Sequence[int]) -> int:
    return int.from_bytes(struct.pack(f"<{len(words)}Q", *words), "little")


def lanes_of(word: int, lanes: int) -> tuple[int, ...]:
    return struct.unpack(f"<{lanes}Q", word.to_bytes(8 * lanes, "little"))


def compress(chaining: Sequence[int], words: Sequence[int], counters: Sequence[int], block_bytes: int,
             flags: int) -> list[int]:
    """The first 8 words of section 2.2's function, as lane words with a lane for each counter."""
    ones = lane_word([1] * len(counters))
    mask = ones * 0xFFFFFFFF

    def rotated(word: int, count: int) -> int:
        return (word >> count | word << 32 - count) & mask

    v = [*chaining, *(word * ones for word in IV[:4]), lane_word([counter & 0xFFFFFFFF for counter in counters]),
         lane_word([counter >> 32 for counter in counters]), block_bytes * ones, flags * ones]
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(COLUMNS_AND_DIAGONALS):
            for word, first, second in ((words[2 * i], 16, 12), (words[2 * i + 1], 8, 7)):
                v[a] = v[a] + v[b] + word & mask
                v[d] = rotated(v[d] ^ v[a], first)
                v[c] = v[c] + v[d] & mask
                v[b] = rotated(v[b] ^ v[c], second)
        words = [words[i] for i in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)]


def chunk_values(chunks: bytes, chunk_bytes: int, key: Value, flags: int, first_chunk: int,
                 root_flag: int = 0) -> list[Value]:
    """The chaining values of chunks that are all as long (section 2.4)."""
    counters = range(first_chunk, first_chunk + max(len(chunks) // CHUNK_BYTES, 1))
    chaining = [lane_word([word] * len(counters)) for word in key]
    starts = range(0, max(chunk_bytes, 1), BLOCK_BYTES)
    for start in starts:
        block_bytes = min(chunk_bytes - start, BLOCK_BYTES)
        block_flags = flags | (CHUNK_START if start == 0 else 0) | (CHUNK_END | root_flag if start == starts[-1] else 0)
        # A shorter block is filled up with zeros.
        blocks = [chunks[at:at + block_bytes].ljust(BLOCK_BYTES, b"\0")
                  for at in range(start, start + CHUNK_BYTES * len(counters), CHUNK_BYTES)]
        words = [lane_word(lane) for lane in zip(*(struct.unpack("<16I", block) for block in blocks))]
        chaining = compress(chaining, words, counters, block_bytes, block_flags)
    return list(zip(*(lanes_of(word, len(counters)) for word in chaining)))


def parent_values(values: Sequence[Value], key: Value, flags: int) -> list[Value]:
    """Of each two neighbours that of their parent (section 2.5); of an odd number, the last stays as it is."""
    pairs = len(values) // 2
    if pairs == 0:
        return list(values)
    left, right = zip(*values[0:2 * pairs:2]), zip(*values[1:2 * pairs:2])
    words = [lane_word(lane) for lane in (*left, *right)]
    chaining = compress([lane_word([word] * pairs) for word in key], words, [0] * pairs, BLOCK_BYTES, flags | PARENT)
    return list(zip(*(lanes_of(word, pairs) for word in chaining))) + list(values[2 * pairs:])


def merged(values: list[Value], key: Value, flags: int, root_flag: int) -> Value:
    """The top of two subtrees or more, of which all but the last are full and equally high.

    Joined two by two, level by level, they come to the tree of section 2.1, where the left side has the most that is
    a power of two and leaves something on the right.
    """
    while len(values) > 2:
        values = parent_values(values, key, flags)
    return parent_values(values, key, flags | root_flag)[0]


def subtree(data: bytes, key: Value, flags: int, first_chunk: int, root_flag: int) -> Value:
    full = len(data) // CHUNK_BYTES * CHUNK_BYTES
    if len(data) <= CHUNK_BYTES:
        return chunk_values(data, len(data), key, flags, first_chunk, root_flag)[0]
    values = chunk_values(data[:full], CHUNK_BYTES, key, flags, first_chunk)
    if full < len(data):
        values += chunk_values(data[full:], len(data) - full, key, flags, first_chunk + full // CHUNK_BYTES)
    return merged(values, key, flags, root_flag)


def tree(data: bytes, key: Value, flags: int) -> bytes:
    return struct.pack("<8I", *subtree(data, key, flags, 0, ROOT))


def blake3_subtree(data: bytes, first_chunk: int) -> bytes:
    """The chaining value of a subtree that isn't the whole tree."""
    return struct.pack("<8I", *subtree(data, IV, 0, first_chunk, 0))


def blake3_merged(values: Sequence[bytes]) -> bytes:
    """The hash, from the chaining values of two subtrees or more: of all but the last as many chunks, 2^n."""
    return struct.pack("<8I", *merged([struct.unpack("<8I", value) for value in values], IV, 0, ROOT))


def blake3(data: bytes) -> bytes:
    return tree(data, IV, 0)


def blake3_keyed(key: bytes, data: bytes) -> bytes:
    return tree(data, struct.unpack("<8I", key), KEYED_HASH)


def blake3_derive_key(context: str, material: bytes) -> bytes:
    context_key = tree(context.encode("utf-8"), IV, DERIVE_KEY_CONTEXT)
    return tree(material, struct.unpack("<8I", context_key), DERIVE_KEY_MATERIAL)
