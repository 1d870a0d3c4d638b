"""The sandbox and exact replay, with a bot that is a function; and the process that stands behind the real one."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from learning.adapters import rasa_sandbox
from learning.adapters.overlay_copy import OverlayCopy
from learning.adapters.rasa_sandbox import RasaTrialBot, RasaTrials
from learning.bootstrap import App
from learning.errors import BotServerError, TrainingError
from learning.exact_replay import Change, ExactReplay, exact_replay, filled
from learning.loop import Loop
from learning.model import (
    TEACHING,
    Action,
    Decision,
    Entry,
    FailedTurn,
    GoodTurn,
    Mined,
    MinedSender,
    Proposal,
    ProposalKind,
    ProposalState,
)
from learning.overlay import OverlayReader
from learning.sandbox import (
    NO_ANSWER,
    Button,
    Exchange,
    Reply,
    Sandbox,
    TrialBot,
    Understood,
    as_it_stands,
    candidate,
    other_entries,
    without_examples,
)
from learning.sandbox_cli import replay_command, sandbox_command, show_exchange, show_replay, with_edits
from learning.settings import Settings, load_settings
from tests.learning_builders import (
    START,
    FakeEncoder,
    FakeServer,
    entry,
    failed_turns,
    gap,
    make_loop,
    make_project,
    proposal,
    save_members,
    session,
    turn,
)


class FakeBot:
    """Understands what it was trained on, and what an example of an entry shares its first word with."""

    model = "fake.tar.gz"

    def __init__(self, trained: Mapping[str, str]) -> None:
        self.trained = trained
        self.entries: tuple[Entry, ...] = ()
        self.used: list[tuple[Entry, ...]] = []
        self.heard: list[tuple[str, str]] = []
        self.closed = False

    def use(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self.used.append(self.entries)

    def understand(self, texts: Sequence[str]) -> list[Understood]:
        return [self._understand(text) for text in texts]

    def say(self, conversation: str, text: str) -> Exchange:
        self.heard.append((conversation, text))
        understood = self._understand(text)
        answers = [item.answer for item in self.entries if item.label == understood.label and item.answer]
        return Exchange(text, understood, tuple(Reply(answer) for answer in answers[-1:]))

    def close(self) -> None:
        self.closed = True

    def _understand(self, text: str) -> Understood:
        for item in reversed(self.entries):
            if item.kind in TEACHING and any(one.split()[0] == text.split()[0] for one in item.examples):
                return self._changed(item.label, item.entry_id)
        return self._changed(self.trained.get(text, "nlu_fallback"), None)

    def _changed(self, label: str, entry_id: str | None) -> Understood:
        for item in self.entries:
            if item.kind is ProposalKind.MERGE and item.target == label:
                return Understood(item.label, 0.9, item.entry_id)
            if item.kind is ProposalKind.RETIRE and item.label == label:
                return Understood("nlu_fallback", 0.9, item.entry_id)
        return Understood(label, 0.9, entry_id)


class FakeBots:
    def __init__(self, bot: TrialBot) -> None:
        self.bot = bot
        self.actions: list[str | None] = []

    def start(self, actions: str | None = None) -> TrialBot:
        self.actions.append(actions)
        return self.bot


FAKE_ANSWER = "You collect points with every order."
FAILED = ("points where", "points spend", "card lost")
GOOD = (("parcel where", "track_order"), ("points good", "faq/points"), ("old one", "greet"))
TRAINED = {"parcel where": "track_order", "points good": "faq/points", "old one": "goodbye"}


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    made = make_loop(make_project(tmp_path))
    store = made.store
    turns = failed_turns(FAILED)
    good = [GoodTurn(f"good{number}", "talk", text, label) for number, (text, label) in enumerate(GOOD)]
    talks = [_one_turn(one) for one in turns]
    store.save_batch(talks, good, 1)
    suggestion = proposal(1)
    save_members(store, [gap(suggestion.gap_id, turns=turns)], {one.turn_id: suggestion.gap_id for one in turns})
    return made


def _one_turn(failed: FailedTurn) -> MinedSender:
    talk = session(
        turn(failed.text, "nlu_fallback", turn_id=failed.turn_id), sender=failed.sender, conversation_id=failed.turn_id
    )
    return MinedSender(failed.sender, 1, (Mined(talk, (replace(failed, conversation_id=failed.turn_id),)),))


def suggest(loop: Loop, **changes: object) -> Proposal:
    made = proposal(1, **{"examples": ("points where", "points earn"), **changes})
    loop.store.save_proposals([made], START)
    return made


def publish(loop: Loop, made: Proposal) -> Entry:
    [*_, release] = [
        loop.store.publish(
            replace(made, state=ProposalState.PENDING),
            replace(made, state=ProposalState.PUBLISHED),
            f"entry {made.label}"[:16],
            loop.encoder.encode(made.examples),
            loop.encoder.identity,
            "ann",
            START,
        )
    ]
    return next(item for item in loop.store.entries() if item.entry_id == release.changes[0].item_id)


# --- the session --------------------------------------------------------------------------------


def test_both_sides_talk_in_conversations_of_their_own(loop: Loop) -> None:
    bot = FakeBot(TRAINED)
    with Sandbox.open(loop, FakeBots(bot), suggest(loop)) as sandbox:
        result = sandbox.compare("points spend")

    assert result.differs
    assert (result.without.understood.label, result.applied.understood.label) == ("nlu_fallback", "learned/question_1")
    assert result.applied.replies == (Reply("You collect points with every order."),)
    assert bot.heard == [("without", "points spend"), ("with", "points spend")]
    assert bot.closed


def test_nothing_goes_live_by_trying_it(loop: Loop) -> None:
    before = loop.store.overlay_version(), loop.store.entries(), loop.store.proposals(), loop.store.audit_rows()
    suggested = suggest(loop)
    before = loop.store.overlay_version(), loop.store.entries(), loop.store.proposals(), loop.store.audit_rows()
    with Sandbox.open(loop, FakeBots(FakeBot(TRAINED)), suggested) as sandbox:
        sandbox.compare("points spend")
    exact_replay(loop, FakeBots(FakeBot(TRAINED)), suggested)

    assert (
        loop.store.overlay_version(),
        loop.store.entries(),
        loop.store.proposals(),
        loop.store.audit_rows(),
    ) == before


def test_an_edited_proposal_is_tried_as_edited(loop: Loop) -> None:
    edited = with_edits(suggest(loop), "learned/cards", ["card lost"], "Call us.")
    with Sandbox.open(loop, FakeBots(FakeBot(TRAINED)), edited, "http://actions") as sandbox:
        assert sandbox.say("card found").replies == (Reply("Call us."),)
        assert sandbox.say("points").understood.label == "nlu_fallback"


def test_a_custom_action_server_is_named_to_the_bot(loop: Loop) -> None:
    bots = FakeBots(FakeBot(TRAINED))
    Sandbox.open(loop, bots, suggest(loop), "http://actions").close()

    assert bots.actions == ["http://actions"]


def test_a_decided_proposal_stands_as_its_reviewer_left_it(loop: Loop) -> None:
    made = suggest(loop)
    decision = Decision(made.proposal_id, Action.EDIT, "ann", START, answer="Shorter.")
    after = replace(made, state=ProposalState.EDITED)
    loop.store.save_decision(made, after, decision)

    assert as_it_stands(loop, loop.store.proposal(made.proposal_id)).answer == "Shorter."


def test_a_published_proposal_is_tried_against_the_bot_without_it(loop: Loop) -> None:
    made = suggest(loop)
    publish(loop, made)

    assert other_entries(loop, made) == []
    assert len(other_entries(loop, proposal(2))) == 1


def test_the_candidate_comes_after_all_that_is_live() -> None:
    made = candidate(proposal(3), [entry(1), entry(8)])

    assert (made.release, made.state, made.label) == (9, ProposalState.PUBLISHED, "learned/question_3")


def test_a_question_without_an_answer_says_so() -> None:
    assert candidate(proposal(answer=None), []).answer == NO_ANSWER
    assert candidate(proposal(answer=None, kind=ProposalKind.RETIRE), []).answer is None


def test_an_entry_without_its_only_example_is_none() -> None:
    made = entry(examples=("a", "b"))

    assert without_examples(made, ["a"]) == replace(made, examples=("b",))
    assert without_examples(made, ["a", "b"]) is None


# --- exact replay -------------------------------------------------------------------------------


def run(loop: Loop, made: Proposal, trained: Mapping[str, str] = TRAINED) -> ExactReplay:
    return exact_replay(loop, FakeBots(FakeBot(trained)), made)


def test_what_is_fixed_and_what_is_broken_is_named(loop: Loop) -> None:
    result = run(loop, suggest(loop))

    assert (result.replay.failures, result.replay.fixed) == (3, 2)
    assert result.missed == (Change("card lost", "nlu_fallback", "nlu_fallback"),)
    assert (result.replay.successes, result.replay.broken) == (3, 1)
    assert result.broken == (Change("points good", "faq/points", "learned/question_1"),)
    assert (result.replay.broken_texts, result.replay.broken_labels) == (("points good",), ("faq/points",))
    assert (result.drifted, result.model) == (1, "fake.tar.gz")  # "old one" is goodbye by now


def test_an_example_does_not_fix_itself(loop: Loop) -> None:
    result = run(loop, suggest(loop, examples=("points where", "card lost")))

    # "points where" and "card lost" are examples, and nothing else begins as they do; "points spend" is new to it.
    assert result.replay.fixed == 1
    assert {item.text for item in result.missed} == {"points where", "card lost"}


def test_failures_that_are_understood_already_are_counted(loop: Loop) -> None:
    result = run(loop, suggest(loop, label="faq/points"), {**TRAINED, "points where": "faq/points"})

    assert (result.replay.fixed, result.known, result.replay.broken) == (1, 1, 0)


def test_a_retirement_breaks_what_went_well(loop: Loop) -> None:
    result = run(loop, suggest(loop, kind=ProposalKind.RETIRE, label="track_order", answer=None))

    assert result.broken == (Change("parcel where", "track_order", "nlu_fallback"),)


def test_a_merge_of_the_same_answers_breaks_nothing(loop: Loop) -> None:
    merge = {"kind": ProposalKind.MERGE, "label": "learned/points", "target": "faq/points"}
    trained = {**TRAINED}
    first = run(loop, suggest(loop, **merge), trained)

    assert first.broken == (Change("points good", "faq/points", "learned/points"),)

    for number, label in ((2, "learned/points"), (3, "faq/points")):
        made = proposal(number, label=label, examples=("zebra",), answer="The same.")
        loop.store.save_proposals([made], START)
        publish(loop, made)
    assert run(loop, suggest(loop, **merge), trained).broken == ()


def test_a_rewording_reaches_and_changes(loop: Loop) -> None:
    trained = {**TRAINED, "points where": "faq/points"}
    result = run(loop, suggest(loop, kind=ProposalKind.REWORD, label="faq/points", target="utter_faq/points"), trained)

    assert (result.replay.fixed, result.replay.broken, result.replay.changed) == (1, 0, 1)


def test_the_bot_is_closed_whatever_happens(loop: Loop) -> None:
    bot = FakeBot(TRAINED)
    bot.understand = lambda texts: 1 // 0  # type: ignore[assignment,method-assign]
    with pytest.raises(ZeroDivisionError):
        exact_replay(loop, FakeBots(bot), suggest(loop))

    assert bot.closed


def test_personal_data_is_stood_in_for() -> None:
    assert filled("order <ORDER_12> for <NAME_1>, <SSN_1>") == "order 12345 for Alex, <SSN_1>"


def test_what_is_shown_is_the_same_text_that_was_said(
    loop: Loop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show_replay(run(loop, suggest(loop)))
    sandbox = Sandbox.open(loop, FakeBots(FakeBot(TRAINED)), suggest(loop, answer="[red]Points[/red]"))
    show_exchange(sandbox.compare("points spend"))
    show_exchange(sandbox.compare("parcel where"))
    shown = capsys.readouterr().out

    assert "fixes 2 of 3, breaks 1 of 3." in shown
    assert "points good  faq/points -> learned/question_1" in shown
    assert "[red]Points[/red]" in shown
    assert "the same on both sides" in shown


def test_nothing_that_is_shown_moves_the_cursor(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;pwn\x07 \u202e[red]x[/red]\nbot      ok"
    result = run(loop, suggest(loop))
    capsys.readouterr()
    show_replay(replace(result, broken=(Change(evil, evil, "b"),), missed=(Change(evil, "a", evil),)))
    show_exchange(Exchange(evil, Understood(evil, 0.5), (Reply(evil, (Button(evil, evil),)),)))
    shown = capsys.readouterr().out

    assert not {char for char in shown if not char.isprintable()} - {"\n"}
    assert shown.count("[red]x[/red]") == 8
    assert [line for line in shown.splitlines() if line.startswith("bot")] == ["bot      ]0;pwn [red]x[/red]"]


# --- the command line ---------------------------------------------------------------------------


def command(loop: Loop, *arguments: str, typed: str = "", trained: Mapping[str, str] = TRAINED) -> Result:
    """Run one of the two commands as `python -m learning` does, with a bot that is a function."""
    cli = typer.Typer()
    app = App(loop.settings)
    app.__dict__.update(loop=loop, trials=FakeBots(FakeBot(trained)))  # in place of what is built on first use

    @cli.callback()
    def main(ctx: typer.Context) -> None:
        ctx.obj = app

    cli.command("replay")(replay_command)
    cli.command("sandbox")(sandbox_command)
    return CliRunner().invoke(cli, arguments, input=typed)


def test_replay_prints_json_for_programs(loop: Loop) -> None:
    done = command(loop, "replay", suggest(loop).proposal_id[:6], "--json")
    found = json.loads(done.stdout)

    assert (done.exit_code, found["replay"]["fixed"], found["replay"]["broken"]) == (0, 2, 1)
    assert found["broken"] == [{"text": "points good", "before": "faq/points", "after": "learned/question_1"}]


def test_replay_says_what_breaks(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(loop, suggest(loop))
    capsys.readouterr()
    show_replay(result)
    shown = capsys.readouterr().out

    assert "fixes 2 of 3, breaks 1 of 3." in shown
    assert "points good  faq/points -> learned/question_1" in shown
    assert "1 messages of the sample are understood otherwise today" in shown


def test_messages_of_a_script_are_answered_on_both_sides(loop: Loop) -> None:
    suggest(loop)
    script = ("--message", "points spend", "--message", "parcel where", "--without", "--json")
    found = json.loads(command(loop, "sandbox", proposal(1).proposal_id, *script).stdout)

    assert [one["without"]["understood"]["label"] for one in found] == ["nlu_fallback", "track_order"]
    assert [one["applied"]["understood"]["label"] for one in found] == ["learned/question_1", "track_order"]
    assert found[0]["applied"]["replies"] == [{"text": "You collect points with every order.", "buttons": []}]


def test_edits_are_tried_from_the_command_line(loop: Loop) -> None:
    suggest(loop)
    edits = ("--answer", "Call us.", "--label", "learned/cards", "--example", "card lost")
    done = command(loop, "sandbox", proposal(1).proposal_id, *edits, "--message", "card found", "--json")
    [found] = json.loads(done.stdout)

    assert (found["understood"]["label"], found["replies"][0]["text"]) == ("learned/cards", "Call us.")


def test_json_without_a_message_is_refused(loop: Loop) -> None:
    assert command(loop, "sandbox", suggest(loop).proposal_id, "--json").exit_code == 2


def test_somebody_types_until_they_stop(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    done = command(loop, "sandbox", suggest(loop).proposal_id, typed="points spend\n/stop\npoints never\n")

    assert done.exit_code == 0
    assert FAKE_ANSWER in done.stdout
    assert done.stdout.count(FAKE_ANSWER) == 1


def test_the_end_of_the_input_ends_the_session(loop: Loop) -> None:
    assert command(loop, "sandbox", suggest(loop).proposal_id, typed="points spend\n").exit_code == 0


# --- the copy of what is live -------------------------------------------------------------------


def test_the_overlay_reads_what_the_copy_holds(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    copy = OverlayCopy(tmp_path, encoder)
    reader = OverlayReader(copy.url, encoder.encode, encoder.identity)
    assert reader.snapshot().entries == ()

    first, second = entry(1), entry(2, label="learned/other", examples=("one", "two"))
    copy.use([first, second])
    assert [item.label for item in reader.snapshot().entries] == ["learned/question_1", "learned/other"]

    copy.use([replace(second, examples=("two",))])
    snapshot = reader.snapshot()
    assert [item.examples for item in snapshot.entries] == [("two",)]
    np.testing.assert_array_equal(snapshot.rows.vectors[snapshot.rows.owners >= 0], encoder.encode(["two"]))

    copy.use([])
    assert reader.snapshot().entries == ()
    copy.close()


def test_examples_are_encoded_once_and_the_same_entries_change_nothing(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    copy = OverlayCopy(tmp_path, encoder)
    reader = OverlayReader(copy.url, encoder.encode, encoder.identity)
    copy.use([entry(1)])
    version = reader.snapshot().version
    calls = encoder.calls
    copy.use([entry(1)])
    copy.use([replace(entry(1), examples=entry(1).examples[1:])])

    assert encoder.calls == calls
    assert reader.snapshot().version == version + 1
    copy.close()


def test_entries_that_teach_nothing_need_no_vectors(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    copy = OverlayCopy(tmp_path, encoder)
    copy.use([entry(1, kind=ProposalKind.RETIRE, label="greet", examples=(), answer=None)])
    reader = OverlayReader(copy.url, encoder.encode, encoder.identity)

    assert reader.snapshot().retired == {"greet"}
    copy.close()


# --- the child process --------------------------------------------------------------------------

CHILD = """
    import json, os, sys, time
    folder = os.environ["EVERGREEN_STORE_URL"]
    print(json.dumps({ready}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        text = request.get("text", "")
        if text == "crash":
            sys.exit("it crashed")
        if text == "hang":
            time.sleep(60)
        if text == "fail":
            print(json.dumps({{"error": "ValueError: bad\\nmore"}}), flush=True)
            continue
        one = {{"label": "greet", "confidence": 0.5, "entry": None}}
        replies = [{{"text": text.upper(), "buttons": [{{"title": "Yes", "payload": "/affirm"}}]}}]
        many = [one for _ in request.get("texts", ())]
        print(json.dumps({{"understood": many if "texts" in request else one, "replies": replies}}), flush=True)
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    make_project(tmp_path)
    monkeypatch.setattr(rasa_sandbox, "CHILD", "stand_in_child")
    return load_settings(tmp_path, {})


def start(settings: Settings, ready: str = '{"ready": True}') -> RasaTrialBot:
    model = settings.path("models/one.tar.gz")
    model.parent.mkdir(exist_ok=True)
    model.write_bytes(b"")
    (settings.root / "stand_in_child.py").write_text(textwrap.dedent(CHILD).format(ready=ready), "utf-8")
    return RasaTrials(settings, FakeServer(model), FakeEncoder()).start()


def folder_of(bot: RasaTrialBot) -> Path:
    return bot._log.parent


def test_the_process_answers_line_by_line(settings: Settings) -> None:
    bot = start(settings)
    bot.use([entry(1)])
    said = bot.say("a", "hello\nthere")

    assert said.replies[0].text == "HELLO\nTHERE"
    assert [(button.title, button.payload) for button in said.replies[0].buttons] == [("Yes", "/affirm")]
    assert bot.understand(["a"] * 250) == [Understood("greet", 0.5)] * 250
    assert bot.model == "one.tar.gz"
    bot.close()


def test_closing_ends_the_process_and_removes_its_files(settings: Settings) -> None:
    bot = start(settings)
    folder, child = folder_of(bot), bot._child
    assert folder.exists()
    bot.close()
    bot.close()

    assert child.poll() is not None
    assert not folder.exists()
    with pytest.raises(TrainingError) as caught:
        bot.say("a", "hello")
    assert "has been closed" in str(caught.value)


def test_the_process_does_not_outlive_whoever_forgot_it(settings: Settings) -> None:
    bot = start(settings)
    folder, child = folder_of(bot), bot._child
    del bot

    assert child.poll() is not None
    assert not folder.exists()


def test_a_crash_is_an_error_with_its_last_words(settings: Settings) -> None:
    bot = start(settings)
    with pytest.raises(TrainingError) as caught:
        bot.say("a", "crash")

    assert "ended by itself (it crashed)" in str(caught.value)
    assert not folder_of(bot).exists()


def test_a_process_that_hangs_is_killed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = start(settings)
    monkeypatch.setattr(rasa_sandbox, "ANSWER_TIMEOUT", 0.2)
    monkeypatch.setattr(rasa_sandbox, "STOP_TIMEOUT", 0.1)
    with pytest.raises(TrainingError) as caught:
        bot.say("a", "hang")

    assert "did not answer within 0 s" in str(caught.value)
    assert bot._child.poll() is not None


def test_a_message_that_fails_does_not_end_the_session(settings: Settings) -> None:
    bot = start(settings)
    with pytest.raises(TrainingError) as caught:
        bot.say("a", "fail")
    assert "ValueError: bad" in str(caught.value)
    assert "more" not in str(caught.value)

    assert bot.say("a", "hello").replies[0].text == "HELLO"
    bot.close()


def test_a_model_that_cannot_be_loaded_is_an_error(settings: Settings) -> None:
    with pytest.raises(TrainingError) as caught:
        start(settings, '{"error": "ValueError: its pipeline has no LiveOverlay"}')

    assert "its pipeline has no LiveOverlay" in str(caught.value)


def test_without_a_model_the_error_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(TrainingError) as caught:
        RasaTrials(settings, FakeServer(settings.path("models/gone.tar.gz")), FakeEncoder()).start()

    assert "rasa train" in str(caught.value)


class DownServer(FakeServer):
    def running_model(self) -> Path:
        raise BotServerError("does not answer", "Rasa server", "start it")


def test_the_newest_model_stands_in_for_a_server_that_is_down(settings: Settings) -> None:
    start(settings).close()
    newest = settings.path("models/two.tar.gz")
    newest.write_bytes(b"")
    os.utime(settings.path("models/one.tar.gz"), (1, 1))
    bot = RasaTrials(settings, DownServer(newest), FakeEncoder()).start()

    assert bot.model == "two.tar.gz"
    bot.close()
