"""Reloading: what is right acts, what is wrong changes nothing and is told."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.config import Config, load_config
from hedgerow.errors import ConfigInvalid
from hedgerow.reloading import Reloading, reloading

MAIN = """\
providers: {groq: {dialect: openai, base_url: "http://127.0.0.1:1/v1/", api_key: "${KEY}"}}
models: {llama: {offers: [{provider: groq, model: llama-3}]}}
policies: ["policies/*.yaml"]
"""
ENVIRON = {"KEY": "sk-secret"}


def policy(cap: str, name: str = "all") -> str:
    return f"budgets:\n  - {{name: {name}, scope: {{}}, window: day, cap_usd: {cap}}}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration with one policy file."""
    return written_in(tmp_path)


def written_in(folder: Path) -> Path:
    (folder / "policies").mkdir()
    (folder / "policies" / "a.yaml").write_text(policy("10"))
    path = folder / "hedgerow.yaml"
    path.write_text(MAIN)
    return path


def watch_of(path: Path) -> Reloading:
    """One that has seen the files as they were loaded."""
    watch = Reloading(load_config(path, ENVIRON), ENVIRON)
    assert watch.look() is None
    return watch


def caps(config: Config | None) -> dict[str, int] | None:
    if config is None:
        return None
    return {one.name: one.cap[1] // 10**9 for one in config.budgets}


def settled(watch: Reloading) -> dict[str, int] | None:
    """The budgets that two looks bring; None for no change."""
    assert watch.look() is None, "a change that was seen once may be half of one"
    return caps(watch.look())


def test_a_change_acts_when_it_has_settled(path: Path) -> None:
    """Seen twice alike it is there, once; while it goes on it is not."""
    watch, file = watch_of(path), path.parent / "policies" / "a.yaml"
    file.write_text(policy("20")[:-3])
    assert watch.look() is None
    file.write_text("budgets: []\n")
    assert watch.look() is None
    file.write_text(policy("20"))
    assert settled(watch) == {"all": 20}
    assert watch.look() is None


def test_what_changed_before_the_first_look(path: Path) -> None:
    """Between the loading and the first look nothing is lost."""
    config = load_config(path, ENVIRON)
    (path.parent / "policies" / "a.yaml").write_text(policy("20"))
    watch = Reloading(config, ENVIRON)
    assert caps(watch.look()) == {"all": 20}


def test_files_that_stand_in_go_on_standing_in(path: Path) -> None:
    """What a simulation has in the place of the policy files is not replaced by them."""
    other = path.parent / "other.yaml"
    other.write_text(policy("7"))
    watch = Reloading(load_config(path, ENVIRON, [other]), ENVIRON)
    assert watch.look() is None
    (path.parent / "policies" / "a.yaml").write_text(policy("20"))
    assert settled(watch) is None


def test_what_is_wrong_changes_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The old policies stay; every error is logged, once, with its file and line, and again when
    it is another one; the mended file acts, also where it is as it was before."""
    watch, file = watch_of(path), path.parent / "policies" / "a.yaml"
    file.write_text(policy("much"))
    for _ in range(4):
        assert watch.look() is None
    why = '"much" is no amount of USD; write digits, as in 12.50'
    assert caplog.messages == [
        f"the policies stay as they were: {path} is wrong",
        f"{file}:2: budgets[0].cap_usd: {why}",
    ]
    file.touch()
    assert settled(watch) is None
    assert len(caplog.messages) == 2
    file.write_text("#\n" + policy("much"))
    assert settled(watch) is None
    assert caplog.messages[3].startswith(f"{file}:3: ")
    file.write_text(policy("10"))
    assert settled(watch) is None, "it is what is served"
    file.write_text(policy("11"))
    assert settled(watch) == {"all": 11}
    file.write_text(policy("much"))
    assert settled(watch) is None
    assert len(caplog.messages) == 6
    assert "sk-secret" not in caplog.text


class Counted(dict[str, str]):
    """Variables that count how often one is read."""

    reads = 0

    def __contains__(self, name: object) -> bool:
        self.reads += 1
        return super().__contains__(name)


def test_nothing_is_read_while_nothing_changes(path: Path) -> None:
    """Files are read when they have changed, right or wrong, and then no more."""
    environ = Counted(ENVIRON)
    watch = Reloading(load_config(path, environ), environ)
    for text in (policy("10"), policy("20"), policy("much")):
        (path.parent / "policies" / "a.yaml").write_text(text)
        for _ in range(2):
            watch.look()
        reads = environ.reads
        for _ in range(3):
            assert watch.look() is None
        assert environ.reads == reads


def replace_with(file: Path, text: str) -> None:
    """As editors do, and as if in the same moment: of the same size and time."""
    before = file.stat()
    new = file.with_suffix(".new")
    new.write_text(text)
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(file)


def swap_folder(folder: Path, text: str) -> None:
    """As Kubernetes does with a ConfigMap: a link to another folder."""
    new = folder.with_name("new")
    new.mkdir()
    (new / "a.yaml").write_text(text)
    folder.rename(folder.with_name("old"))
    folder.symlink_to(new)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda folder: replace_with(folder / "a.yaml", policy("20")), {"all": 20}),
        (lambda folder: swap_folder(folder, policy("30")), {"all": 30}),
        (
            lambda folder: (folder / "b.yaml").write_text(policy("5", "more")),
            {"all": 10, "more": 5},
        ),
        (lambda folder: (folder / "a.yaml").rename(folder / "c.yaml"), None),
        (lambda folder: (folder / "a.yaml").touch(), None),
        (lambda folder: (folder / "a.yaml").unlink(), None),
    ],
    ids=["replaced", "linked", "added", "renamed", "touched", "gone"],
)
def test_however_files_change(
    path: Path, edit: Callable[[Path], object], expected: dict[str, int] | None
) -> None:
    """Replaced, linked anew or added, it is seen; what says the same changes nothing, and a glob
    that matches nothing is an error."""
    watch = watch_of(path)
    edit(path.parent / "policies")
    assert settled(watch) == expected


def test_new_globs_are_followed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Policy files that hedgerow.yaml names now are looked after, also those that are not there
    yet when it begins to."""
    watch = watch_of(path)
    path.write_text(MAIN.replace('yaml"]', 'yaml", "more.yaml"]'))
    for _ in range(3):
        assert watch.look() is None
    assert 'no file matches "more.yaml"' in caplog.text
    (path.parent / "more.yaml").write_text(policy("5", "more"))
    assert settled(watch) == {"all": 10, "more": 5}


def test_what_needs_a_restart(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What else changed in hedgerow.yaml is named, once; the policies act all the same."""
    watch = watch_of(path)
    path.write_text(MAIN + "server: {port: 1}\nrouting: {attempts: 2}\n")
    assert settled(watch) is None
    restart = f"{path}: server, routing: needs a restart"
    assert caplog.messages == [restart]
    (path.parent / "policies" / "a.yaml").write_text(policy("20"))
    assert settled(watch) == {"all": 20}
    assert caplog.messages == [restart]
    path.write_text(MAIN)
    assert settled(watch) is None
    assert caplog.messages == [restart]


EDITS = ["10", "20", "much", "", "gone", "added", "touched", "restart"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EDITS), st.integers(0, 3)), max_size=12))
def test_against_loading_anew(edits: list[tuple[str, int]]) -> None:
    """Whatever is done to the files, and however many looks are between: in the end the policies
    are those of the last files that were right when they had settled."""
    with TemporaryDirectory() as folder:
        path = written_in(Path(folder))
        file = path.parent / "policies" / "a.yaml"
        watch = watch_of(path)
        served = load_config(path, ENVIRON)
        for edit, looks in [*edits, ("touched", 3)]:
            if edit == "gone":
                file.unlink(missing_ok=True)
            elif edit == "added":
                (file.parent / "b.yaml").write_text(policy("1", "more"))
            elif edit == "touched":
                file.touch()
            elif edit == "restart":
                path.write_text(MAIN + "server: {port: 1}\n")
            else:
                file.write_text(policy(edit) if edit else "")
            for _ in range(looks):
                served = watch.look() or served
        try:
            wanted = load_config(path, ENVIRON)
        except ConfigInvalid:
            return
        assert served.policies == wanted.policies


async def test_the_loop_applies_changes(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A change comes to whoever serves, in the loop's own thread, and is logged."""
    caplog.set_level(logging.INFO)
    came: asyncio.Future[Config] = asyncio.get_running_loop().create_future()
    watch = await asyncio.to_thread(watch_of, path)
    task = asyncio.create_task(reloading(watch, came.set_result))
    file = path.parent / "policies" / "a.yaml"
    await asyncio.to_thread(file.write_text, policy("20"))
    assert caps(await asyncio.wait_for(came, 20)) == {"all": 20}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert caplog.messages == ["policies read again; budgets: 1, increases: 0"]
