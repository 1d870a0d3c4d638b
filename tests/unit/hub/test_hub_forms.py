from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType

import pytest

from hub import texts
from hub.errors import Incomplete
from hub.forms import BodyTooLarge, Form, read_form
from hub.guard import safe_next
from hub.review import forms
from hub.settings import load_hub_settings
from learning.errors import SettingsError
from learning.model import Action, Proposal, ProposalKind, ProposalState

NOW = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)
PROPOSAL = Proposal(
    proposal_id="p1",
    gap_id="g1",
    kind=ProposalKind.ANSWER,
    label="learned/loyalty_points",
    examples=("do i get points", "points?"),
    answer="One point for each dollar.\nThey never expire.",
    sources=(),
    score=70,
    score_parts=(),
    people=4,
    turns=5,
    state=ProposalState.PENDING,
    created_at=NOW,
)
UNCHANGED = {
    "name": ("loyalty_points",),
    "answer": ("One point for each dollar.\nThey never expire.",),
    "keep": ("0", "1"),
    "more": ("",),
}


async def body(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.asyncio
async def test_a_form_is_read_with_plain_line_ends() -> None:
    form = await read_form(body(b"answer=a%0D%0Ab", b"&keep=1&keep=2&empty="), 100)
    assert form.get("answer") == "a\nb"
    assert form.all("keep") == ("1", "2")
    assert form.get("empty") == form.get("absent") == ""


@pytest.mark.asyncio
async def test_a_reason_can_be_kept_and_shown() -> None:
    form = await read_form(body("reason= sale\0 is\x1b[31m \u202eover\n".encode(), b"&more=a%00b"), 100)
    assert form.reason == "sale is [31m  over"
    assert form.get("more") == "ab"
    assert len((await read_form(body(b"reason=" + b"x " * 2_000), 5_000)).reason) <= 500


@pytest.mark.asyncio
async def test_bodies_that_are_too_large_or_broken_are_refused() -> None:
    with pytest.raises(BodyTooLarge):
        await read_form(body(b"x" * 60, b"x" * 60), 100)
    for broken in (b"\xff\xfe", b"a=%ff", b"&".join([b"a=1"] * 600)):
        with pytest.raises(ValueError):
            await read_form(body(broken), 10_000)


def test_an_unchanged_form_is_an_approval() -> None:
    decision = forms.approval(PROPOSAL, Form(UNCHANGED), "ann", NOW)
    assert decision.action is Action.APPROVE
    assert (decision.label, decision.answer, decision.examples) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"answer": ("Two points.",)}, (None, "Two points.", None)),
        ({"name": ("Loyalty  Club-Points",)}, ("learned/loyalty_club_points", None, None)),
        ({"keep": ("1",)}, (None, None, ("points?",))),
        ({"more": ("bonus?\n\npoints?\n",)}, (None, None, ("do i get points", "points?", "bonus?"))),
    ],
)
def test_only_what_was_changed_is_the_persons(
    change: dict[str, tuple[str, ...]], expected: tuple[object, object, object]
) -> None:
    decision = forms.approval(PROPOSAL, Form({**UNCHANGED, **change}), "ann", NOW)
    assert decision.action is Action.EDIT
    assert (decision.label, decision.answer, decision.examples) == expected


def test_examples_of_a_known_intent_keep_its_name() -> None:
    known = replace(PROPOSAL, kind=ProposalKind.EXAMPLES, label="track_order", answer=None)
    decision = forms.approval(known, Form({"keep": ("0",), "name": ("cancel_order",), "answer": ("x",)}), "ann", NOW)
    assert (decision.label, decision.answer, decision.examples) == (None, None, ("do i get points",))


def test_a_better_answer_is_edited_and_its_messages_are_only_evidence() -> None:
    better = replace(PROPOSAL, kind=ProposalKind.REWORD, label="faq/points", target="utter_faq/points")
    same = forms.approval(better, Form({"answer": (str(PROPOSAL.answer),)}), "ann", NOW)
    other = forms.approval(better, Form({"answer": ("Two.",), "name": ("x",), "keep": ("0",)}), "ann", NOW)
    assert same.action is Action.APPROVE
    assert (other.action, other.label, other.answer, other.examples) == (Action.EDIT, None, "Two.", None)


def test_of_two_labels_to_merge_a_person_chooses_the_one_that_stays() -> None:
    merge = replace(PROPOSAL, kind=ProposalKind.MERGE, label="faq/a", target="faq/b", answer=None)
    assert forms.approval(merge, Form({"label": ("faq/a",)}), "ann", NOW).action is Action.APPROVE
    assert forms.approval(merge, Form({"label": ("faq/b",)}), "ann", NOW).label == "faq/b"
    with pytest.raises(Incomplete):
        forms.approval(merge, Form({"label": ("faq/c",)}), "ann", NOW)


def test_a_retirement_is_only_approved() -> None:
    retired = replace(PROPOSAL, kind=ProposalKind.RETIRE, label="faq/a", answer=None)
    assert forms.approval(retired, Form({"name": ("x",), "answer": ("y",)}), "ann", NOW).action is Action.APPROVE


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"answer": (" ",)}, "answer"),
        ({"answer": ("x" * 2001,)}, "answer"),
        ({"name": ("../../etc",)}, "name"),
        ({"name": ("",)}, "name"),
        ({"keep": ()}, "examples"),
        ({"keep": ("7", "x")}, "examples"),
    ],
)
def test_what_would_be_incomplete_is_named(change: dict[str, tuple[str, ...]], where: str) -> None:
    with pytest.raises(Incomplete) as caught:
        forms.approval(PROPOSAL, Form({**UNCHANGED, **change}), "ann", NOW)
    assert caught.value.item == where


def test_deferrals_need_a_day_to_come_or_a_volume() -> None:
    doubled = forms.deferral(PROPOSAL, Form({"until": ("doubled",)}), 5, "ann", NOW)
    dated = forms.deferral(PROPOSAL, Form({"until": ("date",), "date": ("2025-12-01",)}), 5, "ann", NOW)
    assert doubled.defer_turns == 10
    assert dated.defer_until == datetime(2025, 12, 1, tzinfo=timezone.utc)
    for date in ("", "2025-11-21", "1999-01-01", "tomorrow"):
        with pytest.raises(Incomplete):
            forms.deferral(PROPOSAL, Form({"until": ("date",), "date": (date,)}), 5, "ann", NOW)


def test_what_nobody_asks_for_cannot_wait_for_volume() -> None:
    with pytest.raises(Incomplete):
        forms.deferral(PROPOSAL, Form({"until": ("doubled",)}), 0, "ann", NOW)


@pytest.mark.parametrize("answer", ["", "One point for each dollar.\nThey never expire."])
def test_the_name_of_an_answered_label_needs_no_answer(answer: str) -> None:
    form = Form({**UNCHANGED, "name": ("points",), "answer": (answer,)})
    decision = forms.approval(PROPOSAL, form, "ann", NOW, {"learned/points"})
    assert (decision.action, decision.label, decision.answer) == (Action.EDIT, "learned/points", None)


def test_an_answer_typed_for_an_answered_label_is_not_lost() -> None:
    form = Form({**UNCHANGED, "name": ("points",), "answer": ("Two points.",)})
    assert forms.approval(PROPOSAL, form, "ann", NOW, {"learned/points"}).answer == "Two points."


def test_a_second_reader_may_approve_without_a_reason_only() -> None:
    assert forms.verdict(Form({"verdict": ("approve",)})) == (Action.APPROVE, "")
    assert forms.verdict(Form({"verdict": ("edit",), "reason": ("shorter",)})) == (Action.EDIT, "shorter")
    for fields in ({"verdict": ("edit",)}, {"verdict": ("undo",), "reason": ("x",)}, {"reason": ("x",)}):
        with pytest.raises(Incomplete):
            forms.verdict(Form(fields))


def test_the_fingerprint_follows_what_a_reviewer_sees() -> None:
    seen = forms.fingerprint(PROPOSAL)
    assert forms.fingerprint(replace(PROPOSAL, score=10)) == seen
    changes = (
        {"answer": "x"},
        {"examples": ("x",)},
        {"label": "x"},
        {"warnings": ("x",)},
        {"state": ProposalState.DEFERRED},
    )
    for changed in changes:
        assert forms.fingerprint(replace(PROPOSAL, **changed)) != seen  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "address", ["", "//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\nb", "javascript:alert(1)"]
)
def test_nobody_is_sent_elsewhere_after_logging_in(address: str) -> None:
    assert safe_next(address) == "/"
    assert safe_next("/proposals/ab12") == "/proposals/ab12"


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    plain = load_hub_settings(tmp_path, {})
    assert plain.database == tmp_path / "var/hub.db"
    assert plain.demo_password is None
    assert len(plain.secret) == 64
    assert plain.secret != load_hub_settings(tmp_path, {}).secret
    assert plain.secret not in repr(plain)
    given = {"EVERGREEN_HUB_DB": "sqlite:////data/hub.db", "EVERGREEN_HUB_SECRET": "s" * 32}
    assert load_hub_settings(tmp_path, given).database == Path("/data/hub.db")
    with pytest.raises(SettingsError, match="EVERGREEN_HUB_SECRET"):
        load_hub_settings(tmp_path, {"EVERGREEN_HUB_SECRET": "short"})


AREAS = [module for module in vars(texts).values() if isinstance(module, ModuleType)]


@pytest.mark.parametrize("module", [texts, *AREAS], ids=lambda module: module.__name__)
def test_every_text_is_used(module: ModuleType) -> None:
    folder = Path(texts.__file__).parents[1]
    paths = [path for path in folder.rglob("*") if path.suffix in (".py", ".html") and path.parent.name != "texts"]
    sources = "".join(path.read_text("utf-8") for path in paths)
    area = module.__name__.rpartition(".")[2]
    aliases = re.findall(rf"import {area} as (\w+)|set (\w+) = t\.{area} ", sources)
    names = {"t", "texts"} if module is texts else {f"t.{area}", f"texts.{area}", *(a or b for a, b in aliases)}
    own = Path(str(module.__file__)).read_text("utf-8")  # whose functions use some of its constants
    constants = [one for one in vars(module) if one.isupper() and one != "EVERYBODY"]
    unused = [one for one in constants if not any(f"{name}.{one}" in sources for name in names)]
    assert [one for one in unused if len(re.findall(rf"\b{one}\b", own)) < 2] == []
