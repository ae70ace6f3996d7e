"""placeholder"""

from __future__ import annotations

from typing import Any


class ProviderJob:
    def __init__(self, *a: Any) -> None: ...
    async def run(self) -> int:
        return 0
