"""Noise_IK_25519_AESGCM_SHA256, as in the Noise Protocol Framework, revision 34 (BT-6.3-1).

    <- s
    ...
    -> e, es, s, ss
    <- e, ee, se

Section numbers are those of that document.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import os

from primitives import TAG_BYTES, AesGcm, BadTag, public_key, x25519
from values import ProtocolError

PROTOCOL_NAME = b"Noise_IK_25519_AESGCM_SHA256"
KEY_BYTES = 32


class NotAuthentic(ProtocolError):
    """Something sealed can't be opened."""


class Cipher:
    """A key, and AES-256-GCM with counters for nonces (sections 5.1 and 12.4, BT-6.5-2)."""

    def __init__(self, key: bytes):
        self.key = key
        self.aead = AesGcm(key)

    def seal(self, counter: int, associated: bytes, plaintext: bytes) -> bytes:
        return self.aead.encrypt(nonce_of(counter), associated, plaintext)

    def open(self, counter: int, associated: bytes, sealed: bytes) -> bytes:
        try:
            return self.aead.decrypt(nonce_of(counter), associated, sealed)
        except BadTag:
            raise NotAuthentic("what was sealed can't be opened") from None

    def rekeyed(self) -> Cipher:
        """REKEY (sections 4.2 and 11.3)."""
        return Cipher(self.seal(2**64 - 1, b"", bytes(KEY_BYTES))[:KEY_BYTES])


def nonce_of(counter: int) -> bytes:
    return bytes(4) + counter.to_bytes(8, "big")


def hkdf(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """Section 4.3, for two outputs."""
    def hmac_sha256(key: bytes, data: bytes) -> bytes:
        return hmac.new(key, data, hashlib.sha256).digest()

    secret = hmac_sha256(chaining_key, material)
    first = hmac_sha256(secret, b"\x01")
    return first, hmac_sha256(secret, first + b"\x02")


class SymmetricState:
    """Section 5.2."""

    def __init__(self, prologue: bytes):
        # The name has no more than 32 bytes, and is taken for the hash as it is.
        self.hash = self.chaining_key = PROTOCOL_NAME.ljust(32, b"\0")
        self.cipher: Cipher | None = None
        self.mix_hash(prologue)

    def mix_hash(self, data: bytes) -> None:
        self.hash = hashlib.sha256(self.hash + data).digest()

    def mix_secret(self, secret: bytes, public: bytes) -> None:
        """MixKey(DH(…)). In IK each key seals one text, so that its counter is always 0."""
        shared = x25519(secret, public)
        if shared == bytes(32):
            raise NotAuthentic("that is no proper public key")
        self.chaining_key, key = hkdf(self.chaining_key, shared)
        self.cipher = Cipher(key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        sealed = self.cipher.seal(0, self.hash, plaintext)
        self.mix_hash(sealed)
        return sealed

    def decrypt_and_hash(self, sealed: bytes) -> bytes:
        plaintext = self.cipher.open(0, self.hash, sealed)
        self.mix_hash(sealed)
        return plaintext

    def split(self) -> tuple[Cipher, Cipher]:
        """For what the initiator sends, and for what the responder sends (BT-6.3-5)."""
        first, second = hkdf(self.chaining_key, b"")
        return Cipher(first), Cipher(second)


class Initiator:
    def __init__(self, prologue: bytes, static_secret: bytes, responder_public: bytes,
                 ephemeral_secret: bytes | None = None):
        self.static_secret = static_secret
        self.responder_public = responder_public
        self.ephemeral_secret = ephemeral_secret or os.urandom(KEY_BYTES)
        self.state = SymmetricState(prologue)
        self.state.mix_hash(responder_public)

    def write_message_1(self, payload: bytes) -> bytes:
        state = self.state
        ephemeral = public_key(self.ephemeral_secret)
        state.mix_hash(ephemeral)  # e
        state.mix_secret(self.ephemeral_secret, self.responder_public)  # es
        sealed_static = state.encrypt_and_hash(public_key(self.static_secret))  # s
        state.mix_secret(self.static_secret, self.responder_public)  # ss
        return ephemeral + sealed_static + state.encrypt_and_hash(payload)

    def read_message_2(self, message: bytes) -> bytes:
        """The payload. A message that can't be opened leaves no trace: the true one can still come (BT-6.3-6)."""
        state = copy.copy(self.state)
        ephemeral, sealed_payload = message[:KEY_BYTES], message[KEY_BYTES:]
        state.mix_hash(ephemeral)  # e
        state.mix_secret(self.ephemeral_secret, ephemeral)  # ee
        state.mix_secret(self.static_secret, ephemeral)  # se
        payload = state.decrypt_and_hash(sealed_payload)
        self.state = state
        return payload

    def split(self) -> tuple[Cipher, Cipher]:
        return self.state.split()


class Responder:
    def __init__(self, prologue: bytes, static_secret: bytes, ephemeral_secret: bytes | None = None):
        self.static_secret = static_secret
        self.ephemeral_secret = ephemeral_secret or os.urandom(KEY_BYTES)
        self.state = SymmetricState(prologue)
        self.state.mix_hash(public_key(static_secret))
        self.initiator_ephemeral = self.initiator_public = b""

    def read_message_1(self, message: bytes) -> bytes:
        """The payload. It proves `initiator_public`, but may be an old one, sent again."""
        state = self.state
        static_end = 2 * KEY_BYTES + TAG_BYTES
        self.initiator_ephemeral, sealed_static = message[:KEY_BYTES], message[KEY_BYTES:static_end]
        state.mix_hash(self.initiator_ephemeral)  # e
        state.mix_secret(self.static_secret, self.initiator_ephemeral)  # es
        self.initiator_public = state.decrypt_and_hash(sealed_static)  # s
        state.mix_secret(self.static_secret, self.initiator_public)  # ss
        return state.decrypt_and_hash(message[static_end:])

    def write_message_2(self, payload: bytes) -> bytes:
        state = self.state
        ephemeral = public_key(self.ephemeral_secret)
        state.mix_hash(ephemeral)  # e
        state.mix_secret(self.ephemeral_secret, self.initiator_ephemeral)  # ee
        state.mix_secret(self.ephemeral_secret, self.initiator_public)  # se
        return ephemeral + state.encrypt_and_hash(payload)

    def split(self) -> tuple[Cipher, Cipher]:
        return self.state.split()
