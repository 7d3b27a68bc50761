"""Offering again what the index still knows, without saying all of it (BT-2.13)."""

from __future__ import annotations

import codec
from index import Index
from values import Refusal

MOST_PUBLISHED_OUTRIGHT = 64  # BT-2.13-5
FILES_A_PAGE = 16


def resume_known(index: Index, digests: dict[str, int]) -> set[str]:
    """The names that the session offers again, of those with these digests. The others are to be published."""
    resumed: set[str] = set()
    if len(digests) <= MOST_PUBLISHED_OUTRIGHT:
        return resumed
    sought = {f"{digest:016x}": name for name, digest in digests.items()}
    rank = 0
    try:
        for _ in range(1 + len(digests) // FILES_A_PAGE):
            page = index.ask("Recall", rank=rank)["digests"]
            found = {place: sought.pop(digest) for place, digest in enumerate(page) if digest in sought}
            if found and resume(index, rank, found, digests):
                resumed.update(found.values())
            rank += len(page)
            if not page or not sought:
                break
    except Refusal as refusal:
        if refusal.code == codec.NO_SESSION:
            raise
    return resumed


def resume(index: Index, rank: int, found: dict[int, str], digests: dict[str, int]) -> bool:
    """BT-2.13-3."""
    chosen = sum(1 << place for place in found).to_bytes(16, "little")
    digest = sum(digests[name] for name in found.values()) % (1 << 64)
    answer = index.ask("Resume", rank=rank, chosen=chosen.hex(), digest=f"{digest:016x}")
    return answer["is_resumed"]
