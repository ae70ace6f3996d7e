"""The journal: what was appended is there, whatever happens to the process, disk or file."""

from __future__ import annotations

import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.entries import Drawn, Kind
from ledger.errors import JournalDamaged, StoreInUse, StoreUnavailable
from ledger.journal import (
    END_BYTES,
    END_BYTES_OF_ACCOUNT,
    START,
    Journal,
    Place,
)
from ledger.journal_records import Ended, decode, encode, held_of, lost, posted_of
from ledger.money import MAX_NANOS
from ledger.rates import RateCard
from ledger.usage import TokenUsage, Unit
from tests.ledger.entries import NOW_NS, attempt, budget, hold_of, settlement

SEGMENT = 4096
HEAD = 8

records = st.lists(st.binary(min_size=1, max_size=700), max_size=40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@contextmanager
def fresh() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="journal-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def begun(folder: Path, segment_bytes: int = SEGMENT, after: Place = START) -> Iterator[Journal]:
    journal = Journal.open(folder, segment_bytes=segment_bytes)
    try:
        journal.begin(after)
        yield journal
    finally:
        journal.close()


@contextmanager
def found(folder: Path) -> Iterator[Journal]:
    """The journal as the next process opens it."""
    journal = Journal.open(folder, segment_bytes=SEGMENT)
    try:
        yield journal
    finally:
        journal.close()


def texts(journal: Journal, since: Place = START, until: Place | None = None) -> list[bytes]:
    return [one.data for one in journal.records(since, until)]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.log"))


@given(records, st.integers(1024, 20_000), st.data())
def test_what_was_appended_is_read(
    data: list[bytes], segment_bytes: int, draw: st.DataObject
) -> None:
    """All of it in its order, from any place to any later one, by the writer and by the next
    process; whatever the size of the segments, and whoever prepares them."""
    with fresh() as folder:
        with begun(folder, segment_bytes) as journal:
            places = [journal.tail]
            for one in data:
                if draw.draw(st.booleans()):
                    journal.prepare()
                journal.append(one)
                places.append(journal.tail)
            assert texts(journal, until=journal.tail) == data
        with found(folder) as journal:
            read = list(journal.records())
            assert [one.data for one in read] == data
            first = draw.draw(st.integers(0, len(data)))
            last = draw.draw(st.integers(first, len(data)))
            assert texts(journal, places[first], places[last]) == data[first:last]
            for record, place in zip(read, places[1:], strict=True):
                assert texts(journal, record.after) == texts(journal, place)


@given(records.filter(len), st.data())
def test_a_torn_tail_is_cut(data: list[bytes], draw: st.DataObject) -> None:
    """A last record of which but a part was written was never there; those before it were."""
    with fresh() as folder:
        with begun(folder) as journal:
            for one in data:
                journal.append(one)
            end = journal.tail.position
        last = segments(folder)[-1]
        start = end - len(data[-1]) - HEAD
        cut = draw.draw(st.integers(start, end - 1))
        whole = bytearray(last.read_bytes())
        whole[cut:] = bytes(len(whole) - cut)
        last.write_bytes(whole)
        with found(folder) as journal:
            read = texts(journal)
            assert read == data[:-1] or (read == data and not any(data[-1][cut - start - HEAD :]))


@given(st.integers(0, SEGMENT - 1), st.integers(1, 255), st.booleans())
def test_damage_in_the_middle_is_not_overlooked(at: int, change: int, blank: bool) -> None:
    """Any byte of an earlier segment that is another, or a hole of zeros from there on for a while:
    it is said, with the file; what is missing is never taken for the end."""
    data = [bytes([number]) * 100 for number in range(1, 100)]
    with fresh() as folder:
        with begun(folder) as journal:
            for one in data:
                journal.append(one)
        first = segments(folder)[0]
        whole = bytearray(first.read_bytes())
        if blank:
            whole[at : at + 200] = bytes(len(whole[at : at + 200]))
        else:
            whole[at] ^= change
        is_same = bytes(whole) == first.read_bytes()
        first.write_bytes(whole)
        with found(folder) as journal:
            if is_same:
                assert texts(journal) == data
            else:
                with pytest.raises(JournalDamaged, match=first.name):
                    texts(journal)


def test_a_number_that_makes_no_sense_is_read_in_no_memory(folder: Path) -> None:
    """A record that claims to be 4 GB long is damage; nobody tries to read 4 GB."""
    with begun(folder) as journal:
        journal.append(b"one")
    path = segments(folder)[0]
    with path.open("r+b") as file:
        file.seek(HEAD + 3)
        file.write(b"\xff" * 8)
    limit = resource.getrlimit(resource.RLIMIT_AS)
    with found(folder) as journal:
        resource.setrlimit(resource.RLIMIT_AS, (_used() + (1 << 30), limit[1]))
        try:
            assert texts(journal) == [b"one"]
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limit)


def _used() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def test_segments_go_when_they_are_folded(folder: Path) -> None:
    """Those before the place, and only those; the spare one is used, and never left behind."""
    with begun(folder) as journal:
        places = []
        for number in range(120):
            journal.append(bytes([number]) * 100)
            journal.prepare()
            places.append(journal.tail)
        before = places[60]
        journal.release(before)
        numbers = [int(one.stem) for one in segments(folder)]
        assert numbers == list(range(before.segment, journal.tail.segment + 1))
        assert texts(journal, before, journal.tail) == [bytes([n]) * 100 for n in range(61, 120)]
    assert {one.suffix for one in folder.iterdir()} == {".log", ""}
    assert not (folder / "spare").exists()


def test_a_journal_has_one_owner(folder: Path) -> None:
    """Another process, or another part of this one, is refused until it is closed."""
    with begun(folder), pytest.raises(StoreInUse, match=str(folder)):
        Journal.open(folder)
    with found(folder):
        pass


def test_no_place_comes_twice(folder: Path) -> None:
    """What begins anew begins beyond all there was, and beyond what the books know of a folder that
    was lost."""
    with begun(folder) as journal:
        journal.append(b"one")
        first = journal.tail
    with begun(folder, after=first) as journal:
        assert journal.tail > first
        assert texts(journal) == []
        second = journal.tail
    shutil.rmtree(folder)
    with begun(folder, after=second) as journal:
        assert journal.tail > second


def test_places_beyond_the_last_one_asked_for_are_not_read(folder: Path) -> None:
    """Up to a place whose segment is gone, nothing of later segments is read."""
    with begun(folder) as journal:
        for number in range(60):
            journal.append(bytes([number]) * 100)
        assert journal.tail.segment == 2
        assert texts(journal, START, Place(0, 7)) == []
        assert texts(journal, START, Place(1, 108)) == [bytes(100)]


def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A folder that is a file, or that may not be written."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="check the folder"):
        Journal.open(tmp_path / "file")


@contextmanager
def full_disk(most_bytes: int) -> Iterator[None]:
    """No file of this process can grow beyond this."""
    import signal

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=60))
def test_a_full_disk_refuses_holds_and_takes_their_ends(steps: list[tuple[bool, int]]) -> None:
    """With no room for another segment, a hold is refused before anything of it is written; the end
    of one that was taken always finds its room, of any size up to what is kept for it."""
    with fresh() as folder, begun(folder) as journal, full_disk(SEGMENT - 1):
        # Files that are there keep their room; a new one cannot be made.
        is_open, written, end_bytes = 0, [], 300
        for is_hold, size in steps:
            if is_hold:
                before = journal.tail
                try:
                    journal.append(b"h" * size, keep_free=(end_bytes + HEAD) * (is_open + 1))
                except StoreUnavailable:
                    assert journal.tail == before
                    continue
                written.append(b"h" * size)
                is_open += 1
            elif is_open:
                journal.append(b"e" * size)
                written.append(b"e" * size)
                is_open -= 1
        for _ in range(is_open):
            journal.append(b"e" * end_bytes)
            written.append(b"e" * end_bytes)
        assert texts(journal) == written


def test_so_many_holds_that_their_ends_fill_a_segment(folder: Path) -> None:
    """Room for ends is within one segment, where it is certain: more holds at once are refused."""
    with begun(folder) as journal:
        with pytest.raises(StoreUnavailable, match="so many requests at once"):
            journal.append(b"h", keep_free=SEGMENT)
        assert journal.tail == Place(1, 0)
        assert len(segments(folder)) == 1


def test_a_backlog_is_bounded(folder: Path) -> None:
    """When so much waits to be folded, holds are refused; once some of it is, they are taken."""
    journal = Journal.open(folder, segment_bytes=SEGMENT, most_bytes=3 * SEGMENT)
    journal.begin(START)

    def fill() -> None:
        for _ in range(1000):
            journal.append(b"h" * 100)

    with pytest.raises(StoreUnavailable, match="check the database"):
        fill()
    assert len(segments(folder)) == 3
    journal.release(Place(2, 0))
    journal.append(b"h" * 100)
    journal.close(remove=True)
    assert segments(folder) == []


def test_closed_journals_take_nothing(folder: Path) -> None:
    with begun(folder) as journal:
        journal.append(b"one")
    with pytest.raises(StoreUnavailable, match="closed"):
        journal.append(b"two")


def test_the_room_of_an_end_is_enough() -> None:
    """The largest end there can be, of as many accounts as one likes, fits what is kept for it."""
    price = Decimal("999999.999999999999999")
    least = Decimal("999999.999999999999998")
    dear = RateCard(price, price, price, price, price, price, Unit.CHARACTER, least, price)
    for accounts in (0, 1, 10, 300):
        budgets = [budget(f"{'b' * 60}{number}", 1) for number in range(accounts)]
        hold = hold_of(attempt("a" * 60, MAX_NANOS), *budgets)
        end = settlement(MAX_NANOS, prompt=MAX_NANOS, first_offer=MAX_NANOS, cheapest=MAX_NANOS)
        drawn = [Drawn(one.key, MAX_NANOS, MAX_NANOS, MAX_NANOS) for one in hold.accounts]
        whole = posted_of(hold.attempt, end, drawn)
        whole = Ended(
            *(whole.attempt_id, Kind.POSTED, MAX_NANOS, "r" * 100, dear.row, (MAX_NANOS,) * 7),
            *((MAX_NANOS,) * 6, True, 1e300, 1e300, whole.spent, whole.uncovered),
        )
        size = HEAD + len(encode(whole))
        assert size <= END_BYTES + END_BYTES_OF_ACCOUNT * accounts
        if accounts == 0:
            assert size > END_BYTES / 2  # not more than twice as much as is needed


def test_records_are_read_as_they_were_written() -> None:
    """Also by a version that knows fewer fields than the one that wrote them."""
    held = held_of(attempt("one", 5), hold_of(attempt("one", 5), budget("b", 9)).accounts)
    for one in (held, lost(held, NOW_NS), Ended("one", Kind.VOIDED, 7, "refused")):
        assert decode(encode(one)) == one
    fields = msgspec.msgpack.decode(encode(held))
    assert decode(msgspec.msgpack.encode([*fields, "new"])) == held
    assert decode(msgspec.msgpack.encode(fields[:-2])) == held


def test_records_of_before_there_were_prices_apart() -> None:
    """Shorter cards and counts are read, and are the same card, the same counts."""
    card = RateCard.of(Decimal(1), Decimal(2))
    old = Ended("one", Kind.POSTED, 7, "", card.row[:7], (10, 5, None, 4, 1, None))
    found = decode(encode(old))
    assert isinstance(found, Ended)
    assert found.card is not None
    assert found.usage is not None
    assert RateCard.of_row(found.card) == card
    assert TokenUsage(*found.usage) == TokenUsage(10, 5, None, 4, 1)
