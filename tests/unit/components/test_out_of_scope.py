from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from components.familiarity import FitOptions, fit_familiarity
from components.intent_classifier import IntentClassifier
from components.out_of_scope import OutOfScopeDetector
from components.persistence import ModelFileError
from tests.unit.components.toys import Workbench, message, training_data


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    bench = Workbench(tmp_path_factory.mktemp("detector"))
    bench.train(OutOfScopeDetector)
    return bench


def ranked(text: str, *confidences: tuple[str, float], **data: Any) -> Message:
    """A message as it leaves the classifier."""
    one = message(text, **data)
    ranking = [{"name": name, "confidence": confidence} for name, confidence in confidences]
    one.set("intent", ranking[0] if ranking else {"name": None, "confidence": 0.0})
    one.set("intent_ranking", ranking)
    return one


SURE = (("track_order", 0.9), ("cancel_order", 0.05))


def test_something_else_altogether_is_a_fallback_with_its_runners_up(trained: Workbench) -> None:
    [one] = trained.load(OutOfScopeDetector).process([ranked("who won the football world cup in 1998", *SURE)])
    assert one.get("intent")["name"] == "nlu_fallback"
    assert [entry["name"] for entry in one.get("intent_ranking")] == ["nlu_fallback", "track_order", "cancel_order"]
    verdict = one.get("out_of_scope")
    assert verdict["reason"] == "unfamiliar"
    assert verdict["score"] < verdict["threshold"]
    assert verdict["candidates"][0] == {"name": "track_order", "confidence": 0.9}
    assert "out_of_scope" in one.output_properties


def test_what_was_taught_stays(trained: Workbench) -> None:
    [one] = trained.load(OutOfScopeDetector).process([ranked("where's my parcel", *SURE)])
    assert one.get("intent") == {"name": "track_order", "confidence": 0.9}
    assert one.get("out_of_scope")["reason"] == "in_scope"


def test_a_training_example_is_never_unfamiliar(bench: Workbench) -> None:
    # A threshold that nothing passes: only the example itself does.
    bench.train(OutOfScopeDetector)
    component = bench.load(OutOfScopeDetector)
    component._measure = type(component._measure)(**{**component._measure.__dict__, "threshold": 1e9})
    first, second = component.process([ranked("cancel my order", *SURE), ranked("cancel that thing", *SURE)])
    assert first.get("out_of_scope")["reason"] == "in_scope"
    assert second.get("out_of_scope")["reason"] == "unfamiliar"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty"), ("  \n", "empty"), ("😀", "no_words"), ("?!...", "no_words"), ("\x07", "no_words")],
)
def test_text_without_words_is_a_fallback(trained: Workbench, text: str, reason: str) -> None:
    [one] = trained.load(OutOfScopeDetector).process([ranked(text)])
    assert one.get("intent") == {"name": "nlu_fallback", "confidence": 1.0}
    assert one.get("out_of_scope")["reason"] == reason


def test_a_message_that_the_classifier_never_saw_is_a_fallback(trained: Workbench) -> None:
    [one] = trained.load(OutOfScopeDetector).process([message("where is my order")])
    assert one.get("out_of_scope")["reason"] == "low_confidence"


def test_low_confidence_is_a_fallback(trained: Workbench) -> None:
    doubtful = ranked("where is my order", ("track_order", 0.25), ("cancel_order", 0.1))
    [one] = trained.load(OutOfScopeDetector).process([doubtful])
    assert one.get("out_of_scope")["reason"] == "low_confidence"
    assert one.get("intent")["confidence"] == pytest.approx(0.75)


def test_a_near_tie_is_a_fallback_that_names_both(trained: Workbench) -> None:
    tie = ranked("my order", ("track_order", 0.45), ("cancel_order", 0.42), ("greet", 0.01))
    [one] = trained.load(OutOfScopeDetector).process([tie])
    assert one.get("out_of_scope")["reason"] == "near_tie"
    assert [entry["name"] for entry in one.get("out_of_scope")["candidates"][:2]] == ["track_order", "cancel_order"]


def test_a_tie_between_answers_of_one_intent_is_seen(trained: Workbench) -> None:
    tie = ranked("do you deliver when you are open", ("faq", 0.98), ("greet", 0.02))
    shares = [
        {"confidence": 0.52, "intent_response_key": "faq/opening_hours"},
        {"confidence": 0.48, "intent_response_key": "faq/shipping_cost"},
    ]
    tie.set("response_selector", {"faq": {"ranking": shares}})
    [one] = trained.load(OutOfScopeDetector).process([tie])
    assert one.get("out_of_scope")["reason"] == "near_tie"
    assert one.get("out_of_scope")["candidates"][0]["name"] == "faq/opening_hours"


def test_ties_can_be_left_to_the_classifier(trained: Workbench) -> None:
    tie = ranked("where is my order", ("track_order", 0.45), ("cancel_order", 0.42))
    [one] = trained.load(OutOfScopeDetector, min_margin=0.0).process([tie])
    assert one.get("intent")["name"] == "track_order"


@pytest.mark.parametrize("text", ["10777", "#10777", "zoe@unusual-host.example", "10777, zoe@unusual-host.example!"])
def test_bare_order_numbers_and_emails_are_in_scope(trained: Workbench, text: str) -> None:
    spans = [(text.index(part), text.index(part) + len(part)) for part in text.rstrip("!").split(", ")]
    entities = [{"entity": "e", "start": start, "end": end, "value": text[start:end]} for start, end in spans]
    [one] = trained.load(OutOfScopeDetector).process(
        [ranked(text, ("inform", 0.2), ("greet", 0.19), entities=entities)]
    )
    assert one.get("intent")["name"] == "inform"
    assert one.get("out_of_scope")["reason"] == "only_entities"


def test_a_bare_product_is_no_answer_if_only_numbers_are(trained: Workbench) -> None:
    entities = [{"entity": "product", "start": 0, "end": 8, "value": "zeppelin"}]
    doubtful = ranked("zeppelin", ("inform", 0.2), ("greet", 0.19), entities=entities)
    [one] = trained.load(OutOfScopeDetector, answer_entities=["order_number"]).process([doubtful])
    assert one.get("intent")["name"] == "nlu_fallback"


def test_processing_twice_keeps_one_fallback(trained: Workbench) -> None:
    component = trained.load(OutOfScopeDetector)
    [one] = component.process(component.process([ranked("who wrote the magic flute", *SURE)]))
    assert [entry["name"] for entry in one.get("intent_ranking")].count("nlu_fallback") == 1


def test_loaded_and_trained_detectors_agree(bench: Workbench) -> None:
    component = bench.train(OutOfScopeDetector)
    [fresh] = component.process([ranked("where is it", *SURE)])
    [loaded] = bench.load(OutOfScopeDetector).process([ranked("where is it", *SURE)])
    assert fresh.get("out_of_scope") == pytest.approx(loaded.get("out_of_scope"))


def test_the_threshold_follows_the_target() -> None:
    random = np.random.default_rng(0)
    numbers = np.repeat(np.arange(5), 80)
    vectors = random.normal(size=(5, 16))[numbers] + 0.6 * random.normal(size=(400, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    train, test = np.arange(400) % 2 == 0, np.arange(400) % 2 == 1
    rates = []
    for target in (0.02, 0.1, 0.3):
        labels = [f"c{number}" for number in numbers[train]]
        measure = fit_familiarity(vectors[train], labels, FitOptions(target, 5, 20.0, 5, 0))
        rates.append(float((measure.measure(vectors[test])[0] < measure.threshold).mean()))
    assert rates == pytest.approx([0.02, 0.1, 0.3], abs=0.08)
    assert rates[0] < rates[1] < rates[2]


def test_too_few_examples_set_no_threshold(bench: Workbench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        bench.train(OutOfScopeDetector, training_data({"greet": ["hi", "hello"], "thank": ["thanks"]}))
    [one] = bench.load(OutOfScopeDetector).process([ranked("who won the world cup", *SURE)])
    assert one.get("intent")["name"] == "track_order"
    assert one.get("out_of_scope")["threshold"] is None
    assert "too few examples to set a threshold" in caplog.text


def test_no_examples_at_all(bench: Workbench) -> None:
    bench.train(OutOfScopeDetector, TrainingData([]))
    [one] = bench.load(OutOfScopeDetector).process([ranked("hello", *SURE)])
    assert one.get("out_of_scope")["reason"] == "in_scope"


def test_a_corrupt_file_is_a_clear_error(bench: Workbench) -> None:
    bench.train(OutOfScopeDetector)
    path = bench.file("out_of_scope.npz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelFileError) as caught:
        bench.load(OutOfScopeDetector)
    assert "OutOfScopeDetector: its file 'out_of_scope.npz'" in str(caught.value)


@pytest.mark.parametrize(("option", "value"), [("target_false_alarm_rate", 0.9), ("folds", 1), ("min_margin", -1)])
def test_options_are_checked(bench: Workbench, option: str, value: float) -> None:
    with pytest.raises(InvalidConfigException) as caught:
        bench.create(OutOfScopeDetector, **{option: value})
    assert f"OutOfScopeDetector: {option} is {value}" in str(caught.value)


def test_together_with_the_classifier(tmp_path_factory: pytest.TempPathFactory, trained: Workbench) -> None:
    classifier = Workbench(tmp_path_factory.mktemp("together")).train(IntentClassifier)
    detector = trained.load(OutOfScopeDetector)
    texts = ["where is my parcel", "how much is delivery", "sing me a song about penguins"]
    messages = detector.process(classifier.process([message(text) for text in texts]))
    assert [one.get("intent")["name"] for one in messages] == ["track_order", "faq", "nlu_fallback"]
