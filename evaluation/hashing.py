"""Ids as places in [0, 1): what assignment rests on."""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def points(user_ids: Sequence[str], salt: str) -> Float[np.ndarray, "users"]:
    """A place in [0, 1) for each id: the first 64 bits of SHA-256 of salt, NUL and id."""
    digests = (hashlib.sha256(f"{salt}\0{user}".encode()).digest()[:8] for user in user_ids)
    return np.array([int.from_bytes(digest, "big") / 2**64 for digest in digests])
