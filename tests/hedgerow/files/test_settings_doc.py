"""The reference of settings and the code say the same."""

from __future__ import annotations

from pathlib import Path

from hedgerow.files.config_file import settings

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


def test_reference_has_each_setting_and_no_other() -> None:
    """Each row of the code is a row of the page, word by word, and the other way round."""
    lines = REFERENCE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    assert rows == [str(setting) for setting in settings()]


def test_defaults_are_in_their_units() -> None:
    """Only a duration is in seconds."""
    defaults = {setting.path: setting.default for setting in settings()}
    assert defaults["routing.deadline"] == "60s"
    assert (defaults["routing.miss_cost"], defaults["routing.explore"]) == ("1", "0.01")


def test_each_setting_has_a_meaning() -> None:
    """No field goes without a description, and no path stands twice."""
    assert [setting.path for setting in settings() if not setting.meaning] == []
    paths = [setting.path for setting in settings()]
    assert len(set(paths)) == len(paths)


def test_what_several_kinds_have_alike_is_told_once() -> None:
    """Without their names where it is all of them, else behind the names of those that have it."""
    meanings = {setting.path: setting.meaning for setting in settings()}
    assert meanings["contracts.yaml:contracts[].name"] == "Its name, once over all contract files"
    covers = meanings["contracts.yaml:contracts[].covers"]
    assert covers.startswith("With `kind: flat_plan`, `prepaid_quota`, ")
    assert covers.count("The offers that it pays for") == 1
