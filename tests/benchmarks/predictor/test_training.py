"""Training: calibrated where there is something to learn, switched off where there is not."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from benchmarks.errors import OutcomesInvalid, PredictorInvalid
from benchmarks.predictor.features import READ_CHARS, numbers, terms
from benchmarks.predictor.outcomes import Outcome, tabulated
from benchmarks.predictor.predictor import Predictor, load_predictor
from benchmarks.predictor.training import cross_validated, train
from ledger.money import Money
from tests.benchmarks.predictor.synthetic import STRONG, TRUE, WEAK, outcomes

DAY = date(2027, 1, 1)


@pytest.fixture(scope="module")
def learned() -> Predictor:
    return train(tabulated(outcomes(1200, seed=1), (WEAK, STRONG)), "ours", DAY)


def test_probabilities_are_the_true_ones(learned: Predictor) -> None:
    """On fresh prompts of both kinds the mean prediction of a model is its true probability."""
    for kind, word in (("easy", "hello"), ("hard", "theorem")):
        fresh = {one.prompt for one in outcomes(400, seed=2) if word in one.prompt}
        said = [learned.probabilities(one) for one in sorted(fresh)]
        for model in (WEAK, STRONG):
            mean = float(np.mean([one[model] for one in said]))
            assert mean == pytest.approx(TRUE[kind][model], abs=0.06)


def test_it_switches_itself_on_where_it_helps(learned: Predictor) -> None:
    """It says so with an interval, and what slack keeps what quality is in the file."""
    verdict = learned.evidence.verdict
    assert verdict.is_on
    assert verdict.closed is not None
    assert verdict.closed_low is not None
    assert 0 < verdict.closed_low < verdict.closed
    tables = {one.cheapest_first: one.slacks for one in learned.evidence.tables}
    assert set(tables) == {(WEAK, STRONG), (STRONG, WEAK)}
    first, *_, last = tables[WEAK, STRONG]
    assert first.quality > last.quality
    assert last.shares == (1.0, 0.0)
    assert all(one.quality_low < one.quality for one in tables[WEAK, STRONG])


def test_it_switches_itself_off_on_noise() -> None:
    """Words that say nothing about the answers do not switch it on: at most as often as the
    interval allows."""
    on = sum(
        train(
            tabulated(outcomes(200, seed, is_noise=True), (WEAK, STRONG)), "noise", DAY
        ).evidence.verdict.is_on
        for seed in range(6)
    )
    assert on <= 1


def test_without_text_it_is_off() -> None:
    """There is nothing to choose by, even if tasks differ."""
    blank = [replace(one, prompt="", task=one.prompt[:5]) for one in outcomes(150, seed=3)]
    verdict = train(tabulated(blank, (WEAK, STRONG)), "blank", DAY).evidence.verdict
    assert not verdict.is_on
    assert "no prompt has a text" in verdict.reason


def test_where_the_cheapest_is_the_best_it_is_off() -> None:
    """Nothing is bought for more money."""
    dear_weak = [
        replace(one, cost=Money(9_000_000) if one.model == WEAK else one.cost)
        for one in outcomes(150, seed=3)
    ]
    verdict = train(tabulated(dear_weak, (WEAK, STRONG)), "odd", DAY).evidence.verdict
    assert not verdict.is_on
    assert verdict.reason.startswith(f"{STRONG} is the cheapest and the best")


def test_a_duplicate_is_not_judged_by_its_twin() -> None:
    """Prompts with the same words are in one fold: that the same coin fell for both is no help."""
    chance = np.random.default_rng(5)
    coins = {f"{word}{number}": chance.random(2) < 0.5 for number in range(150) for word in "ab"}
    twins = [
        Outcome(f"{name}-{twin}", f"Say {name}{mark}", None, model, float(coin), Money(1 + at))
        for name, both in coins.items()
        for twin, mark in enumerate(("", "!", "?", "."))
        for at, (model, coin) in enumerate(zip((WEAK, STRONG), both, strict=True))
    ]
    table = tabulated(twins, (WEAK, STRONG))
    assert int(table.groups.max()) + 1 == len(coins)
    said = cross_validated(table).probabilities
    right = np.corrcoef(said[:, 0], table.scores[:, 0])[0, 1]
    assert right < 0.15


def test_too_few_prompts_are_refused() -> None:
    """No verdict on a handful."""
    with pytest.raises(OutcomesInvalid, match="30 distinct prompts"):
        train(tabulated(outcomes(30, seed=1), (WEAK, STRONG)), "few", DAY)


def test_a_saved_predictor_says_what_scikit_learn_says(learned: Predictor, tmp_path: Path) -> None:
    """The file's probabilities are those of a LogisticRegression with its vocabulary, to 1e-9."""
    table = tabulated(outcomes(1200, seed=1), (WEAK, STRONG))
    words = learned.vocabulary
    vectors = [words.vector(terms(one), numbers(one), None) for one in table.prompts]
    rows = csr_matrix(
        (
            np.concatenate([values for _, values in vectors]),
            np.concatenate([places for places, _ in vectors]),
            np.cumsum([0, *(len(places) for places, _ in vectors)]),
        ),
        shape=(len(vectors), words.size),
    )
    learned.save(tmp_path / "predictor.json")
    loaded = load_predictor(tmp_path / "predictor.json")
    assert loaded.evidence == learned.evidence
    said = np.array([list(loaded.probabilities(one).values()) for one in table.prompts])
    for at, fit in enumerate(learned.evidence.fits):
        # As `fit_logistics` deals the rows: liblinear's path depends on their order.
        right, wrong = (np.flatnonzero(table.scores[:, at] == one) for one in (1, 0))
        order = np.concatenate([right, wrong])
        theirs = LogisticRegression(solver="liblinear").fit(rows[order], table.scores[order, at])
        logits = fit.slope * theirs.decision_function(rows) + fit.offset
        assert np.abs(said[:, at] - 1 / (1 + np.exp(-logits))).max() < 1e-9


def test_loading_and_asking_need_no_scikit_learn(learned: Predictor, tmp_path: Path) -> None:
    """The server imports neither scikit-learn nor SciPy for it."""
    file = tmp_path / "predictor.json"
    learned.save(file)
    program = (
        "import sys; from pathlib import Path\n"
        "from benchmarks.predictor.predictor import load_predictor\n"
        "import routing.prompt_choice\n"
        f"load_predictor(Path({str(file)!r})).probabilities('prove this')\n"
        "sys.exit(any(one.split('.')[0] in ('sklearn', 'scipy') for one in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_time_and_text_are_bounded(learned: Predictor) -> None:
    """What stands in the middle of a very long prompt is not read, and costs no time."""
    begin, end = "prove " * 300, " lemma" * 300
    one, other = (begin + middle * 500_000 + end for middle in "xy")
    assert len(begin) > READ_CHARS
    assert learned.probabilities(one) == learned.probabilities(other)
    took_s = []
    for _ in range(20):
        started = time.process_time()
        learned.probabilities(one)
        took_s.append(time.process_time() - started)
    assert min(took_s) < 0.005


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=300), st.none() | st.text(max_size=5))
def test_any_text_has_probabilities(learned: Predictor, prompt: str, task: str | None) -> None:
    """Whatever a client sends, in whatever script: a number between 0 and 1 for each model."""
    said = learned.probabilities(prompt, task)
    assert set(said) == {WEAK, STRONG}
    assert all(0 < one < 1 for one in said.values())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 99}, "has format 99"),
        ({"rarity": [1.0]}, "do not fit together"),
        ({"weights": {WEAK: [1.0]}}, "do not fit together"),
        ({"terms": 3}, "is no predictor"),
    ],
)
def test_a_file_that_is_no_predictor_is_refused(
    learned: Predictor, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    """With the file's name, what is wrong and what to do."""
    file = tmp_path / "predictor.json"
    learned.save(file)
    file.write_bytes(msgspec.json.encode({**msgspec.json.decode(file.read_bytes()), **change}))
    with pytest.raises(PredictorInvalid, match=rf"predictor\.json: .*{says}.*train it anew"):
        load_predictor(file)
    with pytest.raises(PredictorInvalid, match="check the path"):
        load_predictor(tmp_path / "none.json")
