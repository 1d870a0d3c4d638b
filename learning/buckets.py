"""Which users get what goes to a part of them: one stable hash for rollouts and experiments."""

from __future__ import annotations

import hashlib

BUCKETS = 100


def bucket(salt: str, sender: str) -> int:
    """Return a number from 0 to 99 that depends on `salt` and `sender` alone, on every machine and for good.

    Another salt deals the same senders anew, so that not always the same people try what is new.
    """
    digest = hashlib.blake2b(f"{salt}\x1f{sender}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS
