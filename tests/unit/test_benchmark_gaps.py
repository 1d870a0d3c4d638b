"""The figures of the gap benchmark are what they say, and its streams are the same every time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gap_data import FLOOD_LABEL, Cell, Message, build, half_of
from benchmarks.gap_methods import METHODS, Inputs
from benchmarks.gap_scores import Trial, mean_scores, scores

DATA = Path(__file__).parents[3] / "shared" / "datasets"


def said(truth: str, count: int, hidden: bool = True) -> list[Message]:
    return [Message(f"{truth} {number}", truth, hidden, f"{truth}{number}") for number in range(count)]


def trial(parts: list[tuple[list[Message], str | None, str | None]]) -> Trial:
    failed = [message for messages, _, _ in parts for message in messages]
    gaps = [gap for messages, gap, _ in parts for _ in messages]
    intents = [intent for messages, _, intent in parts for _ in messages]
    return Trial(failed, failed, gaps, intents)


def test_needs_in_gaps_of_their_own_are_all_found() -> None:
    found = scores(
        trial([(said("one", 10), "a", None), (said("two", 12), "b", None), (said("oos", 9, False), None, None)])
    )

    assert (found["found"], found["found5"], found["purity"], found["nmi"], found["ari"]) == (1, 1, 1, 1, 1)
    assert (found["pair_f1"], found["noise"], found["gaps"], found["per_need"]) == (1, 0, 2, 1)
    assert math.isnan(mean_scores([found])["intent_precision"])


def test_a_gap_of_two_needs_finds_neither() -> None:
    found = scores(trial([(said("one", 10), "a", None), (said("two", 10), "a", None)]))

    assert (found["found"], found["purity"], found["nmi"]) == (0, 0.5, 0)


def test_noise_and_known_questions_make_a_gap_impure() -> None:
    noise, known = said("oos", 2, False), said("greet", 1, False)
    found = scores(trial([(said("one", 10), "a", None), (noise[:1] + known, "a", None), (noise[1:], None, None)]))

    assert found["purity"] == pytest.approx(10 / 12)
    assert found["noise"] == 0.5
    assert found["found"] == 1


def test_a_need_in_pieces_is_found_by_the_largest() -> None:
    one = said("one", 10)
    found = scores(trial([(one[:4], "a", None), (one[4:7], "b", None), (one[7:], None, None)]))

    assert (found["found"], found["found5"], found["per_need"]) == (1, 0, 2)
    assert found["covered"] == 0.7


def test_assignments_are_right_if_the_intent_is() -> None:
    found = scores(trial([(said("greet", 3, False), None, "greet"), (said("one", 10), None, "greet")]))
    mean = mean_scores([found])

    assert mean["intent_precision"] == pytest.approx(3 / 13)
    assert mean["intent_recall"] == 1


def test_a_gap_of_one_persons_flood_is_told() -> None:
    found = scores(trial([(said(FLOOD_LABEL, 5, False), "a", None), (said("one", 10), "b", None)]))

    assert found["floods"] == 1


@pytest.mark.parametrize("name", [name for name in METHODS if "silhouette" not in name])  # its k are a few, not six
def test_every_method_separates_what_lies_apart(name: str) -> None:
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(6, 40))
    vectors = np.repeat(centers, 10, axis=0) + 0.1 * rng.normal(size=(60, 40))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # Examples of the same spread all around: whitening by them changes nothing.
    known = np.repeat(rng.normal(size=(20, 40)), 10, axis=0) + 0.1 * rng.normal(size=(200, 40))
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    labels = tuple(str(row // 10) for row in range(200))
    method, parameter, _ = METHODS[name]
    found = method(Inputs(vectors, vectors, known, labels, 6), parameter)

    assert found.shape == (60,)
    for start in range(0, 60, 10):
        others = set(found[:start]) | set(found[start + 10 :])
        assert not (set(found[start : start + 10]) - {-1}) & others


@pytest.mark.skipif(not DATA.exists(), reason="the data sets are not beside the project")
def test_streams_are_the_same_every_time_and_keep_the_halves_apart() -> None:
    cell, held_out = Cell("banking77", 0.5, 7, True), Cell("banking77", 0.5, 7, False)
    training, stream = build(cell, DATA)
    hidden = {message.truth for message in stream if message.hidden}

    assert build(cell, DATA) == (training, stream)
    assert not hidden & {intent for _, intent in training.train}
    assert {message.truth for message in stream if message.truth == FLOOD_LABEL}
    # What was not changed by a typo or said again is of the wanted half.
    texts = {text for text, _ in training.train}
    assert half_of("a") in (0, 1)
    assert not texts & {message.text for message in stream if message.hidden}
    assert build(held_out, DATA)[1] != stream
