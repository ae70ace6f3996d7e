"""Reloading: policy files act when they are changed, without a restart.

A change acts when it has been seen twice alike: what is half written then, or is written within one
tick of the file system's clock, is not read. If anything is wrong with it, what was there stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeAlias

from hedgerow.config import Config, load_config, matching_files
from hedgerow.errors import ConfigError, ConfigInvalid
from hedgerow.files.yaml_source import read_yaml

log = logging.getLogger("hedgerow")

LOOK_EVERY_S = 0.4
"""Two looks and the reading between them: a change acts within a second."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it was seen; all of it None if it is not there. What replaces a file has another
    inode; what is written over it, another time or size."""

    path: Path
    inode: tuple[int, int] | None
    size: int | None
    changed_ns: tuple[int, int] | None


_Look: TypeAlias = tuple[_Seen, ...]


class Reloading:
    """Looks after the files that a configuration was read from."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        """`config`: as it was loaded, and is served."""
        self._config = config
        self._environ = environ
        self._patterns = _patterns(config.path, environ) or ()
        self._last = self._files()
        self._acted_on: _Look = ()  # what came between the loading and now is found by the first
        self._told: tuple[ConfigError, ...] = ()
        self._restart: tuple[str, ...] = ()
        self._policies = config.policies

    def look(self) -> Config | None:
        """The configuration with other policies, if they have changed and all of it is right.

        Reads files, and logs what is wrong with them; call it in a thread, one call at a time.
        """
        now = self._files()
        is_settled, self._last = now == self._last, now
        if not is_settled or now == self._acted_on:
            return None
        # A new `policies:` names other files, also where one of them is wrong: they are looked
        # after from now on.
        patterns = _patterns(self._config.path, self._environ)
        if patterns is not None and patterns != self._patterns:
            self._patterns = patterns
            self._last = self._files()
            return None
        config, errors = self._loaded()
        if self._files() != now:  # while it was read
            return None
        self._acted_on = now
        self._tell(errors)
        if config is None:
            return None
        self._tell_restart(config)
        if config.policies == self._policies:
            return None
        self._policies = config.policies
        return config

    def _loaded(self) -> tuple[Config | None, tuple[ConfigError, ...]]:
        try:
            return load_config(self._config.path, self._environ, self._config.stand_ins), ()
        except ConfigInvalid as invalid:
            return None, invalid.errors

    def _files(self) -> _Look:
        path = self._config.path
        found = {one for pattern in self._patterns for one in matching_files(path, pattern)}
        return tuple(map(_seen, [path, *sorted(found)]))

    def _tell(self, errors: tuple[ConfigError, ...]) -> None:
        """Log errors, once for as long as they are the same."""
        if errors and errors != self._told:
            log.error("the policies stay as they were: %s is wrong", self._config.path)
            for error in errors:
                log.error("%s", error)
        self._told = errors

    def _tell_restart(self, config: Config) -> None:
        """Log what is another than what is served, and is no policy."""
        changed = tuple(
            one.name
            for one in fields(Config)
            if one.compare
            and one.name not in ("policies", "contracts")  # who hedges reads contracts anew
            and getattr(config, one.name) != getattr(self._config, one.name)
        )
        if changed and changed != self._restart:
            log.warning("%s: %s: needs a restart", config.path, ", ".join(changed))
        self._restart = changed


async def reloading(watch: Reloading, apply: Callable[[Config], None]) -> None:
    """Apply each change of the policies, until it is cancelled."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        config = await asyncio.to_thread(watch.look)
        if config is not None:
            apply(config)
            budgets, raises = len(config.budgets), len(config.raises)
            log.info("policies read again; budgets: %d, increases: %d", budgets, raises)


def _patterns(path: Path, environ: Mapping[str, str]) -> tuple[str, ...] | None:
    """The globs under `policies`; None while the file cannot be read."""
    try:
        written = read_yaml(path, environ).data.get("policies")
    except ConfigInvalid:
        return None
    return (
        tuple(one for one in written if isinstance(one, str)) if isinstance(written, list) else ()
    )


def _seen(path: Path) -> _Seen:
    try:
        found = path.stat()
    except OSError:
        return _Seen(path, None, None, None)
    inode, changed_ns = (found.st_dev, found.st_ino), (found.st_mtime_ns, found.st_ctime_ns)
    return _Seen(path, inode, found.st_size, changed_ns)
