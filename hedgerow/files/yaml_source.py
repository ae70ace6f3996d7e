"""YAML text as plain data in which every scalar is its *text*, with the line of every path.

YAML guesses types: `0.15` is a float, `no` is False, `010` is 8 and `1:30` is 90. The settings know
better what they are, so nothing is guessed here: `cap_usd: 0.15` arrives as "0.15".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml

from hedgerow.errors import ConfigError, ConfigInvalid

Steps: TypeAlias = tuple[str | int, ...]
"""The way to a value: ("models", "llama", "offers", 0, "provider")."""
Data: TypeAlias = "str | list[Data] | dict[str, Data] | None"

MAX_BYTES = 1024 * 1024
MAX_NODES = 50_000
MAX_DEPTH = 20

_TAG = "tag:yaml.org,2002:"
_TAGS = {_TAG + kind for kind in ("str", "int", "float", "bool", "timestamp", "value", "merge")}
_NULL, _MERGE = _TAG + "null", _TAG + "merge"

# `{api_key: ${KEY}}` is what people write, but braces end a plain scalar inside of {}. Braces of
# variables are therefore masked by two private characters while YAML is parsed. The values are
# put in afterwards, so that no value can change the structure.
_OPEN, _CLOSE = "\ue000", "\ue001"
_BRACED = re.compile(r"\$\{([^{}\s]*)\}")
_MASKED = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Places:
    """Where things stand in a YAML file: the line of every path that is written, and no value."""

    file: str
    lines: dict[Steps, int] = field(default_factory=dict)

    def line(self, steps: Steps) -> int | None:
        """The line of a path, or of the nearest thing around it that is there."""
        for end in range(len(steps), -1, -1):
            if steps[:end] in self.lines:
                return self.lines[steps[:end]]
        return None

    def error(self, steps: Steps, message: str, hint: str = "") -> ConfigError:
        """What is wrong at a path of this file."""
        return ConfigError(self.file, self.line(steps), where(steps), message, hint)


@dataclass(frozen=True, slots=True)
class Source(Places):
    """One YAML file, read: `errors` has what is wrong in values, by path.

    A value with an error still stands in `data`, as text or None, so that checks can go on.
    `written` has each scalar as it stands in the file, variables not filled in: what may be shown.
    """

    data: dict[str, Data] = field(default_factory=dict)
    written: dict[Steps, str] = field(default_factory=dict)
    errors: dict[Steps, ConfigError] = field(default_factory=dict)

    @property
    def places(self) -> Places:
        """Where its things stand, without what they are."""
        return Places(self.file, self.lines)

    def has_children(self, steps: Steps) -> bool:
        """Whether a path holds a list or mapping with something in it."""
        return any(path[: len(steps)] == steps != path for path in self.lines)

    def refuse(self, steps: Steps, message: str, hint: str = "") -> None:
        """Note an error; the first one of a path stays, what follows from it is noise."""
        if steps not in self.errors:
            self.errors[steps] = self.error(steps, message, hint)


def mapping_in(data: Data) -> dict[str, Data]:
    """The mapping that stands there; an empty one if it is something else."""
    return data if isinstance(data, dict) else {}


def items_in(data: Data) -> Iterator[tuple[int, dict[str, Data]]]:
    """The mappings of a list, by their index."""
    if isinstance(data, list):
        yield from ((at, item) for at, item in enumerate(data) if isinstance(item, dict))


def text_in(data: Data) -> str | None:
    """The text that stands there; None if it is something else."""
    return data if isinstance(data, str) else None


def where(steps: Steps) -> str:
    """A path for people: `models.llama.offers[0].provider`."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            plain = step if re.fullmatch(r"[!-~]{1,80}", step) else shown(step)
            text += f".{plain}" if text else plain
    return text


def shown(text: str) -> str:
    """Text from a file in quotes, on one line, and not too long."""
    short = text if len(text) <= 80 else text[:77] + "..."
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in short)
    return f'"{"".join(escaped)}"'


def read_yaml(path: Path, environ: Mapping[str, str]) -> Source:
    """Read a file whose top level is a mapping, and put in the variables `${NAME}`.

    Raises ConfigInvalid if there is no such file, or it is no UTF-8, no YAML, too large or empty.
    """
    source = Source(str(path))
    text = _text(path, source)
    if stray := re.search(f"[{_OPEN}{_CLOSE}]", text):
        raise _unreadable(source, _line_at(text, stray.start()), "a private-use character", "")
    masked = _BRACED.sub(rf"{_OPEN}\1{_CLOSE}", text)
    try:
        loader = _Loader(masked)
    except yaml.reader.ReaderError as bad:
        raise _unprintable(source, text, bad) from None
    try:
        node = loader.get_single_node()
    except yaml.reader.ReaderError as bad:
        raise _unprintable(source, text, bad) from None
    except (ValueError, OverflowError):  # "\\UFFFFFFFF" and the like, which PyYAML trusts
        line = loader.get_mark().line + 1
        message = "not YAML: a number in an escape or directive is out of range"
        raise _unreadable(source, line, message, "write the character itself") from None
    except yaml.MarkedYAMLError as bad:
        if (at := _lost_colon(masked, bad)) is not None:
            message, hint = "a key without its colon", "write `key: value`, or `key:` above a block"
            raise _unreadable(source, at + 1, message, hint) from None
        mark = bad.problem_mark or bad.context_mark
        message, hint = _syntax(bad.problem or bad.context or "")
        raise _unreadable(source, mark.line + 1 if mark else None, message, hint) from None
    if node is None or node.tag == _NULL:
        raise _unreadable(source, None, "the file is empty", "")
    if not isinstance(node, yaml.MappingNode):
        kind = "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
        line = node.start_mark.line + 1
        raise _unreadable(source, line, f"the file holds {kind}", "write `key: value` lines")
    _Plain(source, environ).fill(node)
    return source


def _unreadable(source: Source, line: int | None, message: str, hint: str) -> ConfigInvalid:
    return ConfigInvalid((ConfigError(source.file, line, "", message, hint),))


def _unprintable(source: Source, text: str, bad: yaml.reader.ReaderError) -> ConfigInvalid:
    return _unreadable(source, _line_at(text, bad.position), "a control character", "remove it")


def _line_at(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _text(path: Path, source: Source) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unreadable(source, None, "no such file", "check the path") from None
    except OSError as bad:
        reason = bad.strerror or type(bad).__name__
        raise _unreadable(source, None, f"cannot be read: {reason}", "check the path") from None
    if len(content) > MAX_BYTES:
        raise _unreadable(source, None, "larger than 1 MiB", "split it into several policy files")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as bad:
        line = content.count(b"\n", 0, bad.start) + 1
        raise _unreadable(source, line, "not UTF-8", "save the file in UTF-8") from None


_SYNTAX = (
    (r"'\\t'", "a tab where YAML wants spaces", "indent with spaces"),
    ("mapping values are not allowed", "a second `: ` in one line", "put the value in quotes"),
    ("undefined alias", "`*name` without `&name` before it", "put text with a `*` in quotes"),
    ("found another document", "a second document after `---`", "make it a file of its own"),
    (r"'[@`%]'", "a value starts with a reserved character", "put the value in quotes"),
    ("deep", f"nested deeper than {MAX_DEPTH} levels", ""),
    ("many", f"more than {MAX_NODES} values", "split the file"),
)


def _syntax(problem: str) -> tuple[str, str]:
    """PyYAML's words as ours. Theirs may quote the text, ours never do: it could be a secret."""
    for pattern, message, hint in _SYNTAX:
        if re.search(pattern, problem):
            return message, hint
    said = re.sub(r"'[^'<, ][^', ]+'", "'...'", problem)
    return f"not YAML: {said}", "check the indentation, quotes and brackets here and above"


_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # where PyYAML begins a line
_COLON = re.compile(r":(\s|$)")


def _lost_colon(text: str, bad: yaml.MarkedYAMLError) -> int | None:
    """The index of the line whose key has no colon, if that is why the parser gave up.

    It gives up at the first colon after it: to YAML, the lines until there are one text.
    """
    problem, mark = bad.problem or "", bad.problem_mark
    if problem == "could not find expected ':'" and bad.context_mark:
        return bad.context_mark.line
    if not mark or not re.search("mapping values|but found '<block (map|seq)", problem):
        return None
    *above, line = _BREAK.split(text)[: mark.line + 1]
    if _COLON.search(line[: mark.column]):
        return None
    for at in range(len(above) - 1, -1, -1):
        words = above[at].partition(" #")[0].strip()
        if words and not words.startswith("#") and _indent(above[at]) <= _indent(line):
            return None if _COLON.search(words) else at
    return None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


class _Loader(yaml.SafeLoader):
    """Composes nodes and constructs nothing; refuses bombs while they are parsed."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._count = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        self._count += 1
        _bound(self._depth, self._count, self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _bound(depth: int, count: int, mark: yaml.Mark) -> None:
    if depth > MAX_DEPTH:
        raise yaml.composer.ComposerError(problem="deep", problem_mark=mark)
    if count > MAX_NODES:
        raise yaml.composer.ComposerError(problem="many", problem_mark=mark)


class _Plain:
    """Turns nodes into plain data, and notes lines and errors in the source on the way."""

    def __init__(self, source: Source, environ: Mapping[str, str]) -> None:
        self._source = source
        self._environ = environ
        self._count = 0

    def fill(self, root: yaml.MappingNode) -> None:
        self._source.lines[()] = root.start_mark.line + 1
        try:
            self._source.data.update(self._mapping(root, ()))
        except yaml.composer.ComposerError as bad:  # aliases multiply what the composer counted
            line = bad.problem_mark.line + 1 if bad.problem_mark else None
            raise _unreadable(self._source, line, *_syntax(bad.problem or "")) from None

    def _value(self, node: yaml.Node, steps: Steps) -> Data:
        self._visit(node, len(steps))
        if node.tag == _NULL:
            self._source.refuse(steps, "is empty", "write a value, or take the line out")
            return None
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, steps)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self._item(item, (*steps, at)) for at, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _TAGS:
            return self._scalar(node, steps)
        self._source.refuse(steps, "has a YAML tag that means nothing here", "take the `!tag` out")
        return None

    def _item(self, node: yaml.Node, steps: Steps) -> Data:
        self._source.lines[steps] = node.start_mark.line + 1
        return self._value(node, steps)

    def _mapping(self, node: yaml.MappingNode, steps: Steps) -> dict[str, Data]:
        data: dict[str, Data] = {}
        for key, value, is_own in self._entries(node, steps, len(steps)):
            if not isinstance(key, yaml.ScalarNode) or _SURROGATE.search(key.value):
                self._source.refuse(steps, "has a key that is no plain text", "write a name")
                continue
            name = _MASKED.sub(r"${\1}", key.value)
            path, line = (*steps, name), key.start_mark.line + 1
            if name in data:
                if is_own:
                    first = self._source.lines[path]
                    self._source.errors[path] = ConfigError(
                        self._source.file,
                        line,
                        where(path),
                        f"a second time; the first is in line {first}",
                        "keep one of them",
                    )
                continue
            self._source.lines[path] = line
            if name != key.value:
                self._source.refuse(path, "a variable in a key", "variables work in values only")
            data[name] = self._value(value, path)
        return data

    def _entries(
        self, node: yaml.MappingNode, steps: Steps, depth: int
    ) -> Iterator[tuple[yaml.Node, yaml.Node, bool]]:
        """Own entries first, then those of `<<: *anchor`, which never replace one."""
        for key, value in node.value:
            if key.tag != _MERGE:
                yield key, value, True
        for key, value in node.value:
            if key.tag == _MERGE:
                for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    self._visit(one, depth + 1)
                    if isinstance(one, yaml.MappingNode):
                        for inner, its, _ in self._entries(one, steps, depth + 1):
                            yield inner, its, False
                    else:
                        self._source.refuse(steps, "`<<` merges no mapping", "write `<<: *name`")

    def _visit(self, node: yaml.Node, depth: int) -> None:
        self._count += 1
        _bound(depth, self._count, node.start_mark)

    def _scalar(self, node: yaml.ScalarNode, steps: Steps) -> str:
        text: str = node.value
        self._source.written[steps] = _MASKED.sub(r"${\1}", text)
        line = node.start_mark.line + 1

        def refuse(message: str, hint: str) -> None:
            self._source.errors.setdefault(
                steps, ConfigError(self._source.file, line, where(steps), message, hint)
            )

        def fill_in(found: re.Match[str]) -> str:
            name = found[1]
            if not _NAME.fullmatch(name):
                refuse("`${...}` holds no variable name", "write ${NAME}: letters, digits and _")
            elif name not in self._environ:
                refuse(
                    f"environment variable {name} is not set", f"set it, as in export {name}=..."
                )
            return self._environ.get(name, "")

        if "${" in text:
            refuse("`${` without its `}`", "write ${NAME}: letters, digits and _")
        filled = _MASKED.sub(fill_in, text)
        if _SURROGATE.search(filled):
            refuse("holds bytes or escapes that are no Unicode text", "write it in UTF-8")
            return ""
        return filled
