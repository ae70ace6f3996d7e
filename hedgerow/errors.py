"""What can go wrong in the room that puts the others together.

HedgerowError
├── ConfigInvalid      hedgerow.yaml or a policy file cannot be used; carries every ConfigError
├── PortTaken          the address to listen on cannot be had
├── WorkersFailed      no worker process can serve
├── FolderRefused      a folder that cannot be written to
├── NotFound           a key, request or model that is asked about and is not there
├── NotReached         a proxy that a command asks, and that does not answer
├── NotSent            a notice that a channel did not take; it is tried again
└── DocumentUnsound    a report whose parts contradict one another; the fault of who laid it out
"""

from __future__ import annotations

from dataclasses import dataclass


class HedgerowError(Exception):
    """Anything that keeps a command from doing its work."""


@dataclass(frozen=True, slots=True)
class ConfigError:
    """One thing that is wrong in a configuration file: where, what, and what to write instead.

    `line` counts from 1 and is None when the file as a whole is meant; `where` is the path of the
    key, as in `providers.groq.base_url`, and empty when the file as a whole is meant. No value that
    came from the environment, and no secret, ever stands in here.
    """

    file: str
    line: int | None
    where: str
    message: str
    hint: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        sentence = f"{self.message}; {self.hint}" if self.hint else self.message
        return ": ".join(part for part in (place, self.where, sentence) if part)


class ConfigInvalid(HedgerowError):
    """The configuration cannot be used; `errors` are all there are, sorted by file and line."""

    def __init__(self, errors: tuple[ConfigError, ...]) -> None:
        super().__init__(errors)
        self.errors = tuple(
            sorted(errors, key=lambda error: (error.file, error.line or 0, error.where))
        )

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


class PortTaken(HedgerowError):
    pass


class WorkersFailed(HedgerowError):
    pass


class FolderRefused(HedgerowError):
    pass


class NotFound(HedgerowError):
    pass


class NotReached(HedgerowError):
    pass


class NotSent(HedgerowError):
    """Says why, without URLs and passwords: it is logged, and kept. retry_after_s: what the other
    side asked for, None if nothing."""

    def __init__(self, why: str, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class DocumentUnsound(HedgerowError):
    pass
