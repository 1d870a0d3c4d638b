from __future__ import annotations

from learning.evaluate import compare, evaluate, understood
from learning.gaps import Known
from learning.model import Example, Prediction, Replay
from learning.replay import SHOWN, Messages, replay
from tests.learning_builders import LOYALTY, NLU, FakeEncoder, proposal

ENCODER = FakeEncoder()
PAIRS = [(label, text) for label, texts in NLU.items() for text in texts]
TEXTS = [text for _, text in PAIRS]
KNOWN = Known.from_examples([label for label, _ in PAIRS], TEXTS, ENCODER.encode(TEXTS))


def run(examples: tuple[str, ...], failures: tuple[str, ...] = (), successes: tuple[str, ...] = ()) -> Replay:
    failed, went_well = (Messages.of(texts, KNOWN, ENCODER) for texts in (failures, successes))
    return replay(proposal(examples=examples), failed, went_well, ENCODER)


def test_paraphrases_are_fixed() -> None:
    result = run(LOYALTY[:5], failures=(*LOYALTY[5:8], "a goat"))

    assert (result.failures, result.fixed) == (4, 3)


def test_a_message_is_not_fixed_by_itself() -> None:
    assert run(("quantum flux capacitor", "loyalty points"), failures=("Quantum flux capacitor",)).fixed == 0


def test_a_message_with_personal_data_is_not_fixed_by_its_own_example_either() -> None:
    assert run(("quantum flux for",), failures=("quantum flux for <ORDER_1>",)).fixed == 0


def test_messages_that_went_well_and_would_be_captured_are_broken() -> None:
    result = run(("where is my parcel now", "parcel tracking here"), successes=("the parcel now", "reset password"))

    assert (result.broken, result.broken_texts) == (1, ("the parcel now",))


def test_only_some_broken_texts_are_shown() -> None:
    many = tuple(f"loyalty points {word}" for word in ("ab", "cd", "ef", "gh", "ij", "kl", "mn", "op"))
    result = run(("loyalty points",), successes=many)

    assert result.broken == len(many)
    assert len(result.broken_texts) == SHOWN


def test_nothing_to_replay_is_no_error() -> None:
    assert run(LOYALTY) == Replay(0, 0, 0, 0)


# --- comparing models -----------------------------------------------------------------------------

HOLDOUT = [Example(f"text {number}", "a") for number in range(100)]


def predictions(right: int) -> list[Prediction]:
    return [Prediction(example.text, "a" if row < right else "b", 0.9) for row, example in enumerate(HOLDOUT)]


def gate(champion: int, challenger: int, max_drop: float) -> bool:
    return compare(
        evaluate(HOLDOUT, predictions(champion)), evaluate(HOLDOUT, predictions(challenger)), max_drop
    ).passed


def test_the_gate_lets_through_what_is_not_worse() -> None:
    assert gate(90, 90, 0.0)
    assert gate(90, 95, 0.0)
    assert not gate(90, 89, 0.0)


def test_the_gate_allows_the_drop_of_the_settings_exactly() -> None:
    assert gate(90, 87, 0.03)
    assert not gate(90, 86, 0.03)


def test_a_small_loss_that_chance_cannot_explain_is_blocked() -> None:
    # Ten messages lost of 1,000 and none gained: one point, but no accident.
    holdout = [Example(f"text {number}", "a") for number in range(1000)]
    champion = [Prediction(example.text, "a", 0.9) for example in holdout]
    challenger = [*champion[10:], *(Prediction(example.text, "b", 0.9) for example in holdout[:10])]
    challenger = [*challenger[-10:], *challenger[:-10]]

    result = compare(evaluate(holdout, champion), evaluate(holdout, challenger), 0.02)

    assert result.passed is False  # a plain bool: reports are written as JSON
    assert "more than chance explains" in result.reason


def test_a_comparison_names_what_was_gained_and_lost() -> None:
    champion, challenger = predictions(50), list(reversed(predictions(50)))
    challenger = [Prediction(example.text, item.label, 0.9) for example, item in zip(HOLDOUT, challenger, strict=True)]
    result = compare(evaluate(HOLDOUT, champion), evaluate(HOLDOUT, challenger), 0.0)

    assert result.passed
    assert (len(result.gained), len(result.lost)) == (50, 50)


def test_without_messages_nothing_passes() -> None:
    empty = evaluate([], [])

    assert empty.accuracy == 0.0
    assert not compare(empty, empty, 1.0).passed


def test_the_same_text_twice_counts_twice() -> None:
    result = evaluate([Example("a", "x"), Example("a", "y")], [Prediction("a", "x", 1.0), Prediction("a", "x", 1.0)])

    assert (result.total, result.correct) == (2, 1)


def test_understood_is_a_share() -> None:
    assert understood(predictions(80), "a") == 0.8
    assert understood([], "a") == 0.0
