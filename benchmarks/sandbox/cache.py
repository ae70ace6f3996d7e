"""PromptCache: which starts of prompts a sandbox provider has seen before."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

BLOCK_TOKENS = 128
MAX_BLOCKS = 50_000


class PromptCache:
    """Remembers prompts in whole blocks of BLOCK_TOKENS, the last used MAX_BLOCKS of them.

    A block is known by the hash of everything up to its end, as in automatic prefix caching.
    """

    def __init__(self, max_blocks: int = MAX_BLOCKS) -> None:
        self._max_blocks = max_blocks
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def cached_tokens(self, model: str, words: Sequence[str]) -> int:
        """How many tokens at the start of this prompt were seen before; remembers it."""
        prefix = hashlib.blake2b(model.encode(), digest_size=16)
        known, still_known = 0, True
        for start in range(0, len(words) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
            prefix.update("\0".join(("", *words[start : start + BLOCK_TOKENS])).encode())
            block = prefix.digest()
            still_known = still_known and block in self._seen
            if still_known:
                known += BLOCK_TOKENS
            self._seen[block] = None
            self._seen.move_to_end(block)
        while len(self._seen) > self._max_blocks:
            self._seen.popitem(last=False)
        return known
