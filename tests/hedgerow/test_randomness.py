from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hedgerow.randomness import DRAWN_AT_ONCE, DrawnAhead


@given(st.lists(st.integers(0, 2 * DRAWN_AT_ONCE), max_size=20))
def test_every_take_has_its_length_and_none_repeats_another(counts: list[int]) -> None:
    """However much is asked for, that much comes; what is long enough to be unique is."""
    source = DrawnAhead()
    taken = [source.take(count) for count in counts]
    assert [len(one) for one in taken] == counts
    unique = [one for one in taken if len(one) >= 8]
    assert len(set(unique)) == len(unique)


def test_ids_of_one_process_are_all_different() -> None:
    """Over many more than are drawn at once, no eight bytes are given twice."""
    source = DrawnAhead()
    count = 10 * DRAWN_AT_ONCE // 8
    assert len({source.take(8) for _ in range(count)}) == count
