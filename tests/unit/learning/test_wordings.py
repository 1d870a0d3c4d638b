"""Who is told what: shares, experiments, and rows that cannot be read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from learning.adapters import schema
from learning.buckets import bucket
from learning.model import Entry, ProposalKind, ProposalState, Variant
from learning.wordings import LiveExperiment, Wording, Wordings, read_experiments
from tests.learning_builders import START as NOW

SHARES = st.lists(st.integers(1, 100), max_size=5)


def reword(number: int, share: int) -> Entry:
    return Entry(
        entry_id=f"e{number}",
        proposal_id=f"p{number}",
        kind=ProposalKind.REWORD,
        label="faq/shipping",
        examples=(),
        answer=f"text {number}",
        release=number,
        state=ProposalState.PUBLISHED,
        target="utter_faq/shipping",
        share=share,
    )


@given(SHARES, st.text(max_size=20))
def test_everybody_gets_the_newest_text_whose_share_has_come_to_them(shares: list[int], sender: str):
    wordings = Wordings.of([reword(number, share) for number, share in enumerate(shares)])
    place = bucket("utter_faq/shipping", sender)
    admitted = [number for number, share in enumerate(shares) if place < share]
    told = wordings.wording("utter_faq/shipping", sender)
    assert told.text == (f"text {admitted[-1]}" if admitted else None)
    assert [arm for _, arm in told.exposed].count("on") == bool(admitted)
    newer = [f"e{number}" for number in range(len(shares) - 1, admitted[-1] if admitted else -1, -1)]
    assert [subject for subject, arm in told.exposed if arm == "off"] == newer


@given(st.integers(1, 99), st.text(max_size=20))
def test_a_larger_share_takes_nobody_out(share: int, sender: str):
    def told(percent: int) -> str | None:
        return Wordings.of([reword(1, percent)]).wording("utter_faq/shipping", sender).text

    assert told(share) is None or told(share + 1) is not None
    assert told(100) is not None


def test_nobody_in_particular_gets_what_is_there_for_everybody():
    wordings = Wordings.of([reword(1, 100), reword(2, 99)])
    assert wordings.wording("utter_faq/shipping", None) == Wording("text 1")
    assert wordings.wording("utter_other", None) == Wording()


def test_whoever_was_given_a_new_label_gets_its_answer_whatever_the_share():
    answer = Entry("e", "p", ProposalKind.ANSWER, "learned/x", ("?",), "Yes.", 1, ProposalState.PUBLISHED, share=5)
    assert Wordings.of([answer]).wording("utter_learned/x", "anybody") == Wording("Yes.")


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_variants_have_equal_parts(count: int):
    variants = tuple(Variant(f"v{number}", "text") for number in range(count))
    test = LiveExperiment("0123456789abcdef", "utter_x", variants)
    found = Counter(test.variant_of(f"sender {number}").name for number in range(4000))
    assert len(found) == count
    assert all(4000 / count * 0.8 < number < 4000 / count * 1.2 for number in found.values())


def test_two_experiments_deal_the_same_people_anew():
    variants = (Variant("a", None), Variant("b", "text"))
    first, second = (LiveExperiment(name, "utter_x", variants) for name in ("one", "two"))
    both = Counter((first.variant_of(f"s{n}").name, second.variant_of(f"s{n}").name) for n in range(2000))
    assert all(400 < number < 600 for number in both.values())


# --- rows ------------------------------------------------------------------------------------------

GOOD = [{"name": "control", "text": None}, {"name": "b", "text": "B"}]
BROKEN = [
    "",
    "null",
    "{}",
    "[]",
    "[1, 2]",
    "not json",
    orjson.dumps(GOOD[:1]).decode(),
    orjson.dumps([GOOD[0], GOOD[0]]).decode(),
    orjson.dumps([GOOD[0], {"name": "b", "text": " "}]).decode(),
    orjson.dumps([GOOD[0], {"name": "b", "text": 7}]).decode(),
    orjson.dumps([GOOD[0], {"name": "b" * 65, "text": "B"}]).decode(),
    orjson.dumps([GOOD[0], {"name": "b"}]).decode(),
]


def database(folder: Path, *rows: dict[str, object]) -> sa.engine.Engine:
    engine = sa.create_engine(f"sqlite:///{folder / 'learning.db'}", future=True)
    schema.metadata.create_all(engine)
    with engine.begin() as connection:
        for number, row in enumerate(rows):
            usual = {
                "experiment_id": f"x{number}",
                "name": "n",
                "label": "faq/x",
                "response": f"utter_{number}",
                "metric": "resolved",
                "variants": GOOD,
                "state": "running",
                "who": "ann",
                "created_at": NOW,
            }
            broken = row.get("variants") if isinstance(row.get("variants"), str) else None
            connection.execute(sa.insert(schema.experiments), {**usual, **row, "variants": row.get("variants", GOOD)})
            if broken is not None:
                raw = sa.text("UPDATE experiments SET variants = :text WHERE experiment_id = :id")
                connection.execute(raw, {"text": broken, "id": f"x{number}"})
    return engine


def read(engine: sa.engine.Engine) -> tuple[list[str], dict[str, str]]:
    complaints: dict[str, str] = {}
    with engine.connect() as connection:
        found = read_experiments(connection, complaints.__setitem__)
    return [one.experiment_id for one in found], complaints


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_experiment_is_left_out_and_the_others_run(tmp_path: Path, broken: str):
    found, complaints = read(database(tmp_path, {}, {"variants": broken}, {}))
    assert found == ["x0", "x2"]
    assert list(complaints) == ["x1"]
    assert complaints["x1"]


def test_only_running_ones_are_told(tmp_path: Path):
    found, complaints = read(database(tmp_path, {"state": "draft"}, {"state": "stopped"}, {}))
    assert (found, complaints) == (["x2"], {})


def test_of_two_on_one_response_the_first_runs(tmp_path: Path):
    found, complaints = read(database(tmp_path, {"response": "utter_a"}, {"response": "utter_a"}))
    assert found == ["x0"]
    assert complaints == {"x1": "x0 runs on the same response"}


def test_an_older_database_has_none(tmp_path: Path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'old.db'}", future=True)
    assert read(engine) == ([], {})
