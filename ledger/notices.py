"""Notice: what people are told of a budget, and its deliveries over channels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from ledger.measures import Measure
from ledger.money import Money, as_usd, usd_text


class NoticeKind(StrEnum):
    THRESHOLD = "threshold"
    """So much of the cap is spent."""
    SHADOW = "shadow"
    """A request did not fit, and would have been refused if the budget did more than watch."""
    RAISE = "raise"
    """The cap was raised for a while."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened to one budget's account.

    scope: the member of the budget, as `team=research`. spent, cap: in the measure's unit, USD in
    nanos. part: the fraction of the cap that was crossed, None where none was. resets_at: in
    UTC; None for what never resets. about: what more there is to say: what a
    threshold does, the name of an increase. channels: over which it is told.

    id: what makes it told once. Made from the rest when not given, the same for the same crossing:
    of one part, of one cap, in one window; a threshold crossed again under a raised cap is another.
    """

    at_ns: int
    budget: str
    scope: str
    kind: NoticeKind
    measure: Measure
    spent: int
    cap: int
    part: Decimal | None
    window: str
    window_start_ns: int
    resets_at: datetime | None
    channels: tuple[str, ...]
    about: str = ""
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", self._id())

    def _id(self) -> str:
        part = "" if self.part is None else f"{self.part.normalize():f}"
        which = (
            *(self.kind.value, self.budget, self.scope, self.measure.value, str(self.cap), part),
            *(self.window, str(self.window_start_ns), self.about),
        )
        # Lengths keep names apart that run together: nobody's name can make it another's notice.
        text = "".join(f"{len(one)}:{one}" for one in which)
        return f"ntc_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"

    @property
    def subject(self) -> str:
        """A few words for the head of a message."""
        return on_one_line(f"budget {self.budget} ({self.scope}) {self._happened}")

    def text(self) -> str:
        """One line for people: what happened, and what to do."""
        return on_one_line(f"{self.subject}: {self._stand}, {self._until}; {self._advice}")

    @property
    def _happened(self) -> str:
        match self.kind:
            case NoticeKind.THRESHOLD:
                return f"reached {'its threshold' if self.part is None else percent(self.part)}"
            case NoticeKind.SHADOW:
                return "would have refused a request"
            case NoticeKind.RAISE:
                return "was raised"

    @property
    def _stand(self) -> str:
        spent, cap = self._amount(self.spent), self._amount(self.cap)
        if self.kind is NoticeKind.RAISE:
            return f"its cap is {cap}{f' by {self.about}' if self.about else ''}, {spent} are spent"
        return f"{spent} of {cap} are spent{f', {self.about}' if self.about else ''}"

    @property
    def _advice(self) -> str:
        match self.kind:
            case NoticeKind.THRESHOLD:
                return "see who spends it with `hedgerow spend`, or raise its cap"
            case NoticeKind.SHADOW:
                return "it only watches: raise its cap before you let it block"
            case NoticeKind.RAISE:
                return "if nobody meant this, take the increase back"

    @property
    def _until(self) -> str:
        if self.resets_at is None:
            return "it never resets"
        return f"it resets at {self.resets_at:%Y-%m-%d %H:%M} UTC"

    def _amount(self, amount: int) -> str:
        if self.measure is Measure.USD:
            return f"{usd_text(Money(amount), places=2)} USD"
        return f"{amount:,} {self.measure.unit}"

    def in_unit(self, amount: int) -> Decimal | int:
        """`spent` or `cap` as the outside has it: USD as Decimal, counts as they are."""
        return as_usd(Money(amount)) if self.measure is Measure.USD else amount


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice on its way over one channel. tries: made so far. created_at_ns: when it was put into
    the outbox."""

    notice: Notice
    channel: str
    created_at_ns: int
    tries: int


def percent(part: Decimal) -> str:
    """`0.85` as `85%`."""
    return f"{(part * 100).normalize():f}%"


def to_json(notice: Notice) -> str:
    """As it is kept."""
    return msgspec.json.encode(notice).decode()


def from_json(text: str) -> Notice:
    """Raises msgspec.DecodeError for what is no notice."""
    return msgspec.json.decode(text, type=Notice)


def on_one_line(text: str) -> str:
    """Names come from people: nothing in them ends a line, or a header."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
