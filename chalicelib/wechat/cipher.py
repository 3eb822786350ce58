"""WeChat's message encryption ("safe mode"). Source: WeChat's message encryption guide.

AES-256-CBC; the key is the base64 of EncodingAESKey plus "=", the IV its first 16 bytes; the
padding is PKCS#7 with a block of 32 bytes; the plain text is 16 random bytes, the message's length
as four big-endian bytes, the message, and the AppID.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.hazmat.primitives.ciphers import Cipher as Aes
from cryptography.hazmat.primitives.ciphers import algorithms, modes

_BLOCK = 32
_HEAD = 20
"""Length of the random bytes and the message's length."""


class DecryptError(Exception):
    """The text is not encrypted for this account with this key; no further reason is given."""


class MessageCipher:
    """Encrypts and decrypts messages with an account's key."""

    def __init__(self, encoding_aes_key: str, app_id: str) -> None:
        """`encoding_aes_key` has 43 characters of base64. Raises ValueError where it is invalid."""
        self._key = base64.b64decode(encoding_aes_key + "=", validate=True)
        if len(self._key) != 32:
            raise ValueError("an EncodingAESKey has 43 characters of base64")
        self._aes = Aes(algorithms.AES(self._key), modes.CBC(self._key[:16]))
        self._app_id = app_id.encode()

    def decrypt(self, encrypted: str) -> bytes:
        """Return the message in an Encrypt element. Raises DecryptError."""
        try:
            raw = base64.b64decode(encrypted, validate=True)
        except (binascii.Error, ValueError):
            raise DecryptError from None
        if not raw or len(raw) % _BLOCK:
            raise DecryptError
        decryptor = self._aes.decryptor()
        padded = decryptor.update(raw) + decryptor.finalize()
        pad = padded[-1]
        if not 1 <= pad <= _BLOCK or padded[-pad:] != bytes([pad]) * pad:
            raise DecryptError
        plain = padded[:-pad]
        length = int.from_bytes(plain[16:_HEAD], "big")
        # The AppID must follow the message directly, and nothing may follow the AppID.
        if len(plain) < _HEAD or plain[_HEAD + length :] != self._app_id:
            raise DecryptError
        return plain[_HEAD : _HEAD + length]

    def encrypt(self, message: bytes, random16: bytes) -> str:
        """Return the text of an Encrypt element; `random16` are 16 new random bytes."""
        plain = random16 + len(message).to_bytes(4, "big") + message + self._app_id
        pad = _BLOCK - len(plain) % _BLOCK
        encryptor = self._aes.encryptor()
        raw = encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()
        return base64.b64encode(raw).decode()
