from __future__ import annotations

import logging

import numpy as np
import pytest
from rasa.shared.exceptions import InvalidConfigException, RasaException
from rasa.shared.nlu.training_data.features import Features
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from components import cross_validation
from components.cross_validation import assign_folds, splits
from components.intent_classifier import IntentClassifier
from components.persistence import ModelFileError
from components.softmax_regression import fit_softmax, softmax_scores
from tests.unit.components.toys import EXAMPLES, RESPONSES, Workbench, message, training_data


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    bench = Workbench(tmp_path_factory.mktemp("classifier"))
    bench.train(IntentClassifier)
    return bench


def test_understands_paraphrases(trained: Workbench) -> None:
    texts = {
        "hey where's my parcel": "track_order",
        "pls cancel the order i made": "cancel_order",
        "forgot the password": "reset_password",
        "what does shipping cost": "faq",
        "17777": "inform",
    }
    messages = trained.load(IntentClassifier).process([message(text) for text in texts])
    assert [each.get("intent")["name"] for each in messages] == list(texts.values())


def test_ranking_is_full_sorted_and_sums_to_one(trained: Workbench) -> None:
    [one] = trained.load(IntentClassifier).process([message("how much is delivery")])
    ranking = one.get("intent_ranking")
    confidences = [entry["confidence"] for entry in ranking]
    assert {entry["name"] for entry in ranking} == {label.split("/")[0] for label in EXAMPLES}
    assert confidences == sorted(confidences, reverse=True)
    assert sum(confidences) == pytest.approx(1.0)
    assert one.get("intent") == ranking[0]
    assert {"intent", "intent_ranking", "response_selector"} <= one.output_properties


def test_ranking_can_be_cut(trained: Workbench) -> None:
    [one] = trained.load(IntentClassifier, ranking_length=2).process([message("how much is delivery")])
    assert len(one.get("intent_ranking")) == 2


def test_writes_responses_as_a_response_selector_does(trained: Workbench) -> None:
    [one] = trained.load(IntentClassifier).process([message("what does delivery cost")])
    selected = one.get("response_selector")
    assert set(selected) == {"all_retrieval_intents", "faq", "learned"}
    assert selected["all_retrieval_intents"] == ["faq", "learned"]
    response = selected["faq"]["response"]
    assert set(response) == {"responses", "confidence", "intent_response_key", "utter_action"}
    assert response["intent_response_key"] == "faq/shipping_cost"
    assert response["utter_action"] == "utter_faq/shipping_cost"
    assert response["responses"] == RESPONSES["utter_faq/shipping_cost"]
    ranking = selected["faq"]["ranking"]
    assert [set(entry) for entry in ranking] == [{"confidence", "intent_response_key"}] * 2
    assert sum(entry["confidence"] for entry in ranking) == pytest.approx(1.0)
    assert selected["learned"]["response"]["utter_action"] == "utter_learned/gift_cards"


def test_output_can_be_stored_as_json(trained: Workbench) -> None:
    import json

    [one] = trained.load(IntentClassifier).process([message("hello")])
    assert json.loads(json.dumps(one.as_dict(only_output_properties=True)))["intent"]["name"] == "greet"


def test_loaded_and_trained_models_agree(bench: Workbench) -> None:
    component = bench.train(IntentClassifier)
    [fresh] = component.process([message("where is the thing i ordered")])
    [loaded] = bench.load(IntentClassifier).process([message("where is the thing i ordered")])
    assert fresh.get("intent_ranking") == loaded.get("intent_ranking")
    assert fresh.get("response_selector") == loaded.get("response_selector")


def test_training_is_reproducible(tmp_path_factory: pytest.TempPathFactory) -> None:
    rankings = []
    for _ in range(2):
        bench = Workbench(tmp_path_factory.mktemp("again"))
        [one] = bench.train(IntentClassifier).process([message("stop the order")])
        rankings.append(one.get("intent_ranking"))
    assert rankings[0] == rankings[1]


def test_an_intent_with_one_example_is_learned_with_a_warning(
    bench: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    data = training_data({**EXAMPLES, "bot_challenge": ["are you a human being or a robot"]})
    with caplog.at_level(logging.WARNING):
        component = bench.train(IntentClassifier, data)
    [one] = component.process([message("are you a robot or a human")])
    assert one.get("intent")["name"] == "bot_challenge"
    assert "bot_challenge has only one example" in caplog.text


@pytest.mark.parametrize("ngrams", [True, False])
@pytest.mark.parametrize("intents", [1, 2])
def test_few_intents_train(bench: Workbench, intents: int, ngrams: bool) -> None:
    data = training_data(dict(list(EXAMPLES.items())[:intents]))
    component = bench.train(IntentClassifier, data, ngrams=ngrams)
    [one] = component.process([message("where is my parcel")])
    assert one.get("intent")["name"] == "track_order"
    assert len(one.get("intent_ranking")) == intents


def test_no_examples_give_no_intent(bench: Workbench) -> None:
    bench.train(IntentClassifier, TrainingData([]))
    [one] = bench.load(IntentClassifier).process([message("hello")])
    assert one.get("intent") == {"name": None, "confidence": 0.0}
    assert one.get("intent_ranking") == []


@pytest.mark.parametrize("text", ["", "😀😀", "\x00"])
def test_a_text_without_words_has_no_intent(trained: Workbench, text: str) -> None:
    [one] = trained.load(IntentClassifier).process([message(text)])
    assert one.get("intent") == {"name": None, "confidence": 0.0}


def test_missing_features_name_the_remedy(bench: Workbench) -> None:
    with pytest.raises(RasaException) as caught:
        bench.train(IntentClassifier, training_data(featurized=False))
    assert "Put components.sentence_encoder.SentenceEncoder before it" in str(caught.value)


def test_vectors_of_another_size_are_an_error(trained: Workbench) -> None:
    odd = Message({"text": "hello"})
    odd.add_features(Features(np.ones((1, 5), dtype=np.float32), "sentence", "text", "other"))
    with pytest.raises(RasaException) as caught:
        trained.load(IntentClassifier).process([odd])
    assert "trained on vectors of 384 numbers" in str(caught.value)


def test_works_without_middle_layers(bench: Workbench) -> None:
    data = training_data()
    for example in data.training_examples:
        example.features = example.features[:1]
    bench.train(IntentClassifier, data)
    [one] = bench.load(IntentClassifier).process([message("where is my parcel")])
    assert one.get("intent")["name"] == "track_order"


def test_middle_layers_that_went_missing_are_an_error(trained: Workbench) -> None:
    one = message("where is my parcel")
    one.features = one.features[:1]
    with pytest.raises(RasaException) as caught:
        trained.load(IntentClassifier).process([one])
    assert "trained on vectors of 768 numbers, but messages come without them" in str(caught.value)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "missing", "foreign"])
def test_a_corrupt_file_is_a_clear_error(bench: Workbench, damage: str) -> None:
    bench.train(IntentClassifier)
    path = bench.file("intent_classifier.npz")
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "foreign":
        np.savez(path, meta=np.frombuffer(b'{"labels": ["a"]}', dtype=np.uint8))
    else:
        half = len(content) // 2
        flipped = content[:half] + bytes(255 - byte for byte in content[half : half + 64]) + content[half + 64 :]
        path.write_bytes({"truncated": content[:half], "flipped": flipped, "empty": b""}[damage])
    with pytest.raises(ModelFileError) as caught:
        bench.load(IntentClassifier)
    assert "IntentClassifier: its file 'intent_classifier.npz'" in str(caught.value)
    assert "Train again with `rasa train`" in str(caught.value)


def test_a_resource_that_was_never_trained_is_a_clear_error(bench: Workbench) -> None:
    with pytest.raises(ModelFileError) as caught:
        bench.load(IntentClassifier)
    assert "IntentClassifier" in str(caught.value)


def test_options_are_checked(bench: Workbench) -> None:
    with pytest.raises(InvalidConfigException) as caught:
        bench.create(IntentClassifier, strength=0)
    assert "strength is 0" in str(caught.value)


def test_the_model_file_holds_no_training_text(trained: Workbench) -> None:
    content = trained.file("intent_classifier.npz").read_bytes()
    assert b"password reset link" not in content


def test_softmax_regression_agrees_with_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(1)
    labels = random.integers(0, 4, 300)
    centers = random.normal(size=(4, 10))
    vectors = (centers[labels] + random.normal(size=(300, 10))).astype(np.float32)
    ours = softmax_scores(vectors, fit_softmax(vectors, labels, 4, strength=1.0))
    reference = LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000).fit(vectors, labels)
    theirs = reference.decision_function(vectors)
    assert np.abs((ours - ours.mean(1, keepdims=True)) - theirs).max() < 0.15
    assert (ours.argmax(1) == theirs.argmax(1)).mean() > 0.99


def test_folds_spread_every_class() -> None:
    labels = np.array([0] * 6 + [1] * 2 + [2])
    folds = assign_folds(labels, 3, seed=0)
    assert np.bincount(folds[labels == 0]).tolist() == [2, 2, 2]
    assert len(set(folds[labels == 1])) == 2


def test_every_example_is_held_out_once_if_there_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.arange(12) % 3
    held = [row for _, rows in splits(labels, 3, seed=0) for row in rows]
    assert sorted(held) == list(range(12))
    monkeypatch.setattr(cross_validation, "ENOUGH_HELD_OUT", 4)
    assert len(list(splits(labels, 3, seed=0))) == 1


def test_fingerprint_follows_the_code() -> None:
    addon = IntentClassifier.fingerprint_addon({})
    assert addon is not None
    assert len(addon) == 64
