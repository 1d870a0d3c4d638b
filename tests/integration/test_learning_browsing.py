"""Lists of conversations: every filter finds what a walk over all of them finds, on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from learning import browsing
from learning.adapters.store import Store
from learning.browsing_records import ConversationItem, Filter, FilterError, ReviewMark
from learning.errors import NotFound, ReviewError
from learning.loop import Loop
from learning.model import Conversation, FailedTurn, Mined, MinedSender, Outcome, Signal, content_id
from learning.settings import Settings
from tests.learning_builders import START, Clock, fresh_database, gap, save_members, session, turn

COUNT = 150
WORDS = ("where", "is", "my", "parcel", "refund", "order", "café", "straße", "10342", "now")
CHANNELS, MODELS = ("webchat", "slack", "rest"), ("m1", "m2", "")
KINDS = ("rephrase", "handoff", "low_confidence")
INTENTS = ("track_order", "greet", "faq/opening_hours", "nlu_fallback")


def made_up(number: int, dice: random.Random) -> tuple[Conversation, tuple[FailedTurn, ...]]:
    """One conversation, a few hours after the one before; every fifth ends in the same second as another."""
    begin = START + timedelta(hours=5 * (number // 5 * 5))
    sender = f"person{number % 40:010d}"
    turns = []
    for place in range(dice.randint(1, 3)):
        text = " ".join(dice.choices(WORDS, k=dice.randint(1, 4)))
        more: dict[str, Any] = {
            "channel": CHANNELS[number % 3],
            "model": dice.choice(MODELS),
            "frustration": dice.choice((None, 0.1, 0.5, 0.9)),
            "overlay_entry": dice.choice((None, None, "e1", "e2")),
            "thumbs": dice.choice((0, 0, 1, -1)),
            "csat": dice.choice((None, None, 1, 3, 5)),
            "failed_service": dice.choice((None, None, None, "orders")),
            "reply": ("ok",),
        }
        one = turn(text, dice.choice(INTENTS), round(dice.random(), 3), place, **more)
        turns.append(replace(one, turn_id=content_id("turn", number, place), at=begin + timedelta(seconds=place)))
    outcome = dice.choice(list(Outcome))
    conversation = session(
        *turns,
        sender=sender,
        conversation_id=content_id("talk", number),
        started=begin,
        last_at=begin + timedelta(seconds=60),
        first_row=10 * number + 1,
        last_row=10 * number + 9,
        outcome=outcome,
        reason=dice.choice(("asked", "not_understood")) if outcome is Outcome.ESCALATED else "",
        escalated_at=begin if outcome is Outcome.ESCALATED else None,
        agent_at=begin if outcome is Outcome.ESCALATED and dice.random() < 0.5 else None,
    )
    failed = tuple(
        FailedTurn(
            turn_id=one.turn_id,
            conversation_id=conversation.conversation_id,
            sender=sender,
            text=one.text,
            intent=one.intent,
            confidence=one.confidence,
            at=one.at,
            channel=one.channel,
            weight=1.0,
            signals=(Signal(dice.choice(KINDS), 1.0, "test"),),
        )
        for one in turns[:1]
        if dice.random() < 0.4
    )
    return conversation, failed


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return fresh_database(tmp_path_factory.mktemp("browsing") / "learning.db")
    return str(request.getfixturevalue("shared_postgres_url"))


class World:
    """A store of made-up conversations, and the same in memory."""

    def __init__(self, url: str) -> None:
        self.store = Store(url)
        dice = random.Random(3)
        self.talks = [made_up(number, dice) for number in range(COUNT)]
        self.loop = cast(Loop, SimpleNamespace(store=self.store, settings=Settings(), now=Clock()))
        senders: dict[str, list[Mined]] = {}
        for conversation, failed in self.talks:
            senders.setdefault(conversation.sender, []).append(Mined(conversation, failed))
        batch = [MinedSender(sender, 1, tuple(found)) for sender, found in senders.items()]
        self.store.save_batch(batch, [], 10_000)
        read = [(conversation, [one.text for one in conversation.turns]) for conversation, _ in self.talks]
        assert self.store.save_texts(read, ()) == COUNT
        members = {failed[0].turn_id: "a" * 16 for _, failed in self.talks[:60] if failed}
        save_members(self.store, [gap()], members)
        self.in_gap = {failed[0].conversation_id for _, failed in self.talks[:60] if failed}
        self.tagged = [conversation.conversation_id for conversation, _ in self.talks[::7]]
        self.flagged = [conversation.conversation_id for conversation, _ in self.talks[::11]]
        browsing.add_tag(self.loop, self.tagged, "vip", "ann")
        browsing.set_review(self.loop, self.flagged, ReviewMark.FLAGGED, "ann")

    def all(self, wanted: Filter) -> list[str]:
        return [one.conversation_id for one in browsing.each(self.loop, wanted)]

    def where(self, fits: Callable[[Conversation, tuple[FailedTurn, ...]], bool]) -> set[str]:
        return {talk.conversation_id for talk, failed in self.talks if fits(talk, failed)}


@pytest.fixture(scope="module")
def world(url: str) -> World:
    return World(url)


def lowest(talk: Conversation) -> float:
    return min(one.confidence for one in talk.turns)


def thumb(talk: Conversation) -> int:
    return next((one.thumbs for one in reversed(talk.turns) if one.thumbs), 0)


def mark(talk: Conversation) -> int:
    return next((one.csat for one in reversed(talk.turns) if one.csat), 3)


def kinds(talk: Conversation, failed: tuple[FailedTurn, ...]) -> set[str]:
    found = {signal.kind for one in failed for signal in one.signals}
    found |= {"fallback"} if any(one.is_fallback for one in talk.turns) else set()
    return found | ({"backend_failure"} if any(one.failed_service for one in talk.turns) else set())


def has_word(talk: Conversation, word: str) -> bool:
    return any(word.casefold() in one.text.casefold().split() for one in talk.turns)


Case = tuple[Filter, Callable[[Conversation, tuple[FailedTurn, ...]], bool]]
CASES: dict[str, Case] = {
    "nothing asked": (Filter(), lambda talk, failed: True),
    "channel": (Filter(channel=("slack",)), lambda talk, failed: talk.turns[0].channel == "slack"),
    "two channels": (Filter(channel=("slack", "rest")), lambda talk, failed: talk.turns[0].channel != "webchat"),
    "intent": (Filter(intent=("greet",)), lambda talk, failed: any(one.intent == "greet" for one in talk.turns)),
    "base of an intent": (
        Filter(intent=("faq",)),
        lambda talk, failed: any("faq/" in one.intent for one in talk.turns),
    ),
    "least confidence": (Filter(min_conf=0.412), lambda talk, failed: lowest(talk) >= 0.412),
    "most confidence": (Filter(max_conf=0.137), lambda talk, failed: lowest(talk) <= 0.137),
    "confidence between": (Filter(min_conf=0.1, max_conf=0.55), lambda talk, failed: 0.1 <= lowest(talk) <= 0.55),
    "frustrated": (
        Filter(mood="frustrated"),
        lambda talk, failed: any((one.frustration or 0) >= Settings().signals.frustration for one in talk.turns),
    ),
    "outcome": (Filter(outcome=("escalated",)), lambda talk, failed: talk.outcome is Outcome.ESCALATED),
    "reason": (Filter(reason=("asked",)), lambda talk, failed: talk.reason == "asked"),
    "detector": (Filter(signal=("rephrase",)), lambda talk, failed: "rephrase" in kinds(talk, failed)),
    "fallback": (Filter(signal=("fallback",)), lambda talk, failed: "fallback" in kinds(talk, failed)),
    "service": (Filter(signal=("backend_failure",)), lambda talk, failed: "backend_failure" in kinds(talk, failed)),
    "thumb up": (Filter(feedback=("up",)), lambda talk, failed: thumb(talk) == 1),
    "thumb down": (Filter(feedback=("down",)), lambda talk, failed: thumb(talk) == -1),
    "low mark": (Filter(feedback=("csat_low",)), lambda talk, failed: mark(talk) <= 2),
    "high mark": (Filter(feedback=("csat_high",)), lambda talk, failed: mark(talk) >= 4),
    "person": (Filter(person="person0000099999"), lambda talk, failed: False),
    "answered": (Filter(agent="answered"), lambda talk, failed: talk.agent_at is not None),
    "waiting": (
        Filter(agent="waiting"),
        lambda talk, failed: talk.outcome is Outcome.ESCALATED and talk.agent_at is None,
    ),
    "crossed": (
        Filter(outcome=("resolved",), channel=("webchat",), max_conf=0.6),
        lambda talk, failed: (
            talk.outcome is Outcome.RESOLVED and talk.turns[0].channel == "webchat" and lowest(talk) <= 0.6
        ),
    ),
    "word": (Filter(text="parcel"), lambda talk, failed: has_word(talk, "parcel")),
    "words": (
        Filter(text="PARCEL refund"),
        lambda talk, failed: has_word(talk, "parcel") and has_word(talk, "refund"),
    ),
    "phrase": (Filter(text='"my parcel"'), lambda talk, failed: any("my parcel" in one.text for one in talk.turns)),
    "without": (Filter(text="-parcel"), lambda talk, failed: not has_word(talk, "parcel")),
    "with and without": (
        Filter(text="order -parcel"),
        lambda talk, failed: has_word(talk, "order") and not has_word(talk, "parcel"),
    ),
    "beginning": (Filter(text="ref*"), lambda talk, failed: has_word(talk, "refund")),
    "accents": (Filter(text="CAFÉ"), lambda talk, failed: has_word(talk, "café")),
    "sharp s": (Filter(text="STRASSE"), lambda talk, failed: has_word(talk, "straße")),
    "number": (Filter(text="10342"), lambda talk, failed: has_word(talk, "10342")),
    "no word": (Filter(text="???"), lambda talk, failed: False),
    "word and outcome": (
        Filter(text="order", outcome=("abandoned",)),
        lambda talk, failed: has_word(talk, "order") and talk.outcome is Outcome.ABANDONED,
    ),
    "day": (
        Filter(since=date(2024, 3, 5), until=date(2024, 3, 6)),
        lambda talk, failed: talk.last_at.date() in (date(2024, 3, 5), date(2024, 3, 6)),
    ),
    "until the end of time": (Filter(until=date.max), lambda talk, failed: True),
}


@pytest.mark.parametrize("name", CASES)
def test_a_filter_finds_what_a_walk_over_all_finds(world: World, name: str) -> None:
    wanted, fits = CASES[name]
    found = world.all(wanted)
    expected = world.where(fits)

    assert len(found) == len(set(found))
    assert set(found) == expected
    assert browsing.count(world.loop, wanted) == (len(expected), False)
    drawn = browsing.random(world.loop, wanted, COUNT, 5)
    assert {one.conversation_id for one in drawn} == expected


def test_what_staff_noted_and_gaps_can_be_filtered(world: World) -> None:
    assert set(world.all(Filter(tag=("vip",)))) == set(world.tagged)
    assert set(world.all(Filter(state=("flagged",)))) == set(world.flagged)
    assert len(world.all(Filter(state=("new",)))) == COUNT - len(world.flagged)
    assert set(world.all(Filter(gap="a" * 16))) == world.in_gap
    both = set(world.all(Filter(gap="a" * 16, text="order")))
    assert both == world.in_gap & world.where(lambda talk, failed: has_word(talk, "order"))
    sender = world.talks[0][0].sender
    assert set(world.all(Filter(person=sender))) == world.where(lambda talk, failed: talk.sender == sender)
    assert world.all(Filter(release=5)) == []


def test_who_came_back_within_a_week_is_told_exactly(world: World) -> None:
    def came_back(talk: Conversation, failed: tuple[FailedTurn, ...]) -> bool:
        return any(
            talk.last_at < other.started <= talk.last_at + timedelta(days=7)
            for other, _ in world.talks
            if other.sender == talk.sender
        )

    assert set(world.all(Filter(again="week"))) == world.where(came_back)


def test_lists_go_by_the_last_message_the_newest_first(world: World) -> None:
    items = list(browsing.each(world.loop, Filter()))
    times = [cast(datetime, one.last_at).replace(microsecond=0) for one in items]

    assert times == sorted(times, reverse=True)
    assert items[0].opening == world.talks[-1][0].turns[0].text or times[0] == times[1]


@pytest.mark.parametrize("wanted", [Filter(), Filter(text="order"), Filter(channel=("slack",), min_conf=0.2)])
def test_pages_lead_through_the_list_and_back(world: World, wanted: Filter) -> None:
    everything = world.all(wanted)
    pages = [browsing.find(world.loop, wanted, limit=7)]
    while pages[-1].next_cursor:
        pages.append(browsing.find(world.loop, wanted, after=pages[-1].next_cursor, limit=7))

    assert [one.conversation_id for page in pages for one in page.items] == everything
    assert pages[0].previous_cursor is None
    back = [pages[-1]]
    while back[-1].previous_cursor:
        back.append(browsing.find(world.loop, wanted, before=back[-1].previous_cursor, limit=7))
    assert len(back) >= len(pages)
    assert back[-1].items == pages[0].items
    cursor = pages[0].items[3].cursor
    assert browsing.count_newer(world.loop, wanted, cursor) == 3
    newer, older = browsing.neighbors(world.loop, wanted, cursor)
    assert (newer, older) == (everything[2], everything[4])


@pytest.mark.parametrize("cursor", ["x", "-1", "9" * 30, "", "1.5", "²", str(2**63)])
def test_a_cursor_that_is_none_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(FilterError):
        browsing.find(world.loop, Filter(), before=cursor)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60) | st.text(alphabet="\"'*-()&|!:<>ab \\^{}+~AND OR NEAR", max_size=40))
def test_no_search_is_an_error(world: World, text: str) -> None:
    wanted = Filter.from_params([("text", text)])
    found, _ = browsing.count(world.loop, wanted)

    assert 0 <= found <= COUNT
    assert Filter.from_params(wanted.to_params()) == wanted


def test_a_draw_is_the_same_for_a_seed_and_fair_over_seeds(world: World) -> None:
    assert browsing.random(world.loop, Filter(), 20, 1) == browsing.random(world.loop, Filter(), 20, 1)
    assert browsing.random(world.loop, Filter(), 20, 1) != browsing.random(world.loop, Filter(), 20, 2)
    hits: Counter[str] = Counter()
    for seed in range(200):
        hits.update(one.conversation_id for one in browsing.random(world.loop, Filter(), 15, seed))
    expected = 200 * 15 / COUNT
    spread = sum((hits[talk.conversation_id] - expected) ** 2 / expected for talk, _ in world.talks)
    assert spread < 220  # chi-square of 149 degrees of freedom: one in 10,000 is above it


def test_marks_and_tags_are_idempotent_and_audited(world: World) -> None:
    one = world.talks[3][0].conversation_id
    before = len(world.store.audit_rows())

    assert browsing.add_tag(world.loop, [one, one, "0" * 16], "  odd   one ", "ann") == 1
    assert browsing.add_tag(world.loop, [one], "odd one", "bob") == 0
    assert browsing.item(world.loop, one).tags == ("odd one",)
    assert world.all(Filter(tag=("odd one",))) == [one]
    assert browsing.remove_tag(world.loop, [one], "odd one", "bob") == 1
    assert world.all(Filter(tag=("odd one",))) == []
    assert browsing.set_review(world.loop, [one], ReviewMark.SEEN, "ann") == 1
    assert browsing.set_review(world.loop, [one], ReviewMark.SEEN, "ann") == 0
    assert browsing.set_review(world.loop, [one], ReviewMark.NEW, "ann") == 1
    written = world.store.audit_rows()[before:]
    assert [(row.who, row.what, row.item) for row in written] == [
        ("ann", "tag", one),
        ("bob", "untag", one),
        ("ann", "review-mark", one),
        ("ann", "review-mark", one),
    ]
    assert world.store.verify_audit() == []
    for bad in ("", " ", "x" * 81, "a\u202eb"):
        with pytest.raises(ReviewError):
            browsing.add_tag(world.loop, [one], bad, "ann")


def test_saved_filters_belong_to_somebody(world: World) -> None:
    mine = browsing.save_filter(world.loop, "Angry", Filter(mood="frustrated"), "ann")
    browsing.save_filter(world.loop, "Shared", Filter(text='"a b" -c'), "bob", shared=True)
    browsing.save_filter(world.loop, "Private", Filter(), "bob")

    assert [one.name for one in browsing.saved_filters(world.loop, "ann")] == ["Angry", "Shared"]
    assert browsing.saved_filters(world.loop, "ann")[1].filter == Filter(text='"a b" -c')
    again = browsing.save_filter(world.loop, "angry", Filter(channel=("rest",)), "ann")
    assert again.filter_id == mine.filter_id
    with pytest.raises(NotFound):
        browsing.delete_filter(world.loop, mine.filter_id, "bob")
    browsing.delete_filter(world.loop, mine.filter_id, "bob", any_owner=True)
    assert [one.name for one in browsing.saved_filters(world.loop, "ann")] == ["Shared"]


def test_a_spot_check_keeps_its_set(world: World) -> None:
    made = browsing.draw(world.loop, Filter(channel=("slack",)), "ann", 5, 1)
    browsing.set_review(world.loop, made.conversation_ids[:2], ReviewMark.DONE, "ann")
    kept = browsing.read_draw(world.loop, made.draw_id)

    assert kept.conversation_ids == made.conversation_ids
    assert kept.filter == Filter(channel=("slack",))
    assert kept.done == frozenset(made.conversation_ids[:2])
    assert [one.draw_id for one in browsing.draws(world.loop, "ann")] == [made.draw_id]
    browsing.set_review(world.loop, made.conversation_ids[:2], ReviewMark.NEW, "ann")
    with pytest.raises(NotFound):
        browsing.read_draw(world.loop, "nothing")


def test_filters_can_be_set_to_what_occurs(world: World) -> None:
    choices = browsing.choices(world.loop)

    assert set(choices.channels) == set(CHANNELS)
    assert set(choices.intents) == set(INTENTS)
    assert set(choices.models) == {"m1", "m2"}
    assert set(choices.signals) == {*KINDS, "fallback", "backend_failure"}
    assert choices.tags == ("vip",)


def test_reading_a_conversation_again_keeps_what_people_say_of_it(world: World) -> None:
    conversation, failed = world.talks[14]
    longer = replace(conversation, last_row=conversation.last_row, last_at=conversation.last_at + timedelta(days=1))
    browsing.add_tag(world.loop, [conversation.conversation_id], "kept", "ann")
    before = browsing.item(world.loop, conversation.conversation_id)
    batch = [MinedSender(conversation.sender, conversation.first_row, (Mined(longer, failed),))]
    others = {
        one.conversation_id: one
        for one, _ in world.talks
        if one.sender == conversation.sender and one.first_row > conversation.first_row
    }
    batch[0] = replace(batch[0], conversations=(*batch[0].conversations, *_mined(world, others)))
    world.store.save_batch(batch, [], 10_000)
    after = browsing.item(world.loop, conversation.conversation_id)

    assert (after.tags, after.review, after.opening) == (before.tags, before.review, before.opening)
    assert int(after.cursor) > int(before.cursor)
    assert conversation.conversation_id in world.all(Filter(text=conversation.turns[0].text.split()[0]))
    world.store.save_batch(
        [MinedSender(conversation.sender, 1, tuple(_mined(world, _own(world, conversation))))], [], 1
    )
    read = [(one, [said.text for said in one.turns]) for one, _ in world.talks if one.sender == conversation.sender]
    world.store.save_texts(read, ())
    browsing.remove_tag(world.loop, [conversation.conversation_id], "kept", "ann")
    assert browsing.item(world.loop, conversation.conversation_id) == replace(before, tags=("vip",))


def _own(world: World, conversation: Conversation) -> dict[str, Conversation]:
    return {one.conversation_id: one for one, _ in world.talks if one.sender == conversation.sender}


def _mined(world: World, wanted: dict[str, Conversation]) -> Iterator[Mined]:
    return (Mined(one, failed) for one, failed in world.talks if one.conversation_id in wanted)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("since", "soon"),
        ("min_conf", "1.5"),
        ("max_conf", "nan"),
        ("mood", "glad"),
        ("outcome", "lost"),
        ("feedback", "meh"),
        ("state", "odd"),
        ("release", "-1"),
        ("release", "99999999999999"),
        ("again", "never"),
    ],
)
def test_a_value_that_cannot_be_used_names_its_field(name: str, value: str) -> None:
    with pytest.raises(FilterError) as caught:
        Filter.from_params([(name, value)])
    assert caught.value.field == name


def test_a_filter_goes_through_an_address_and_back() -> None:
    wanted = Filter.from_params(
        [
            ("since", "2024-03-01"),
            ("channel", "a"),
            ("channel", "b"),
            ("min_conf", "0.25"),
            ("release", "3"),
            ("x", "y"),
        ]
    )

    assert wanted == Filter(since=date(2024, 3, 1), channel=("a", "b"), min_conf=0.25, release=3)
    assert Filter.from_params(wanted.to_params()) == wanted
    assert Filter.from_params([("text", " ")]).is_empty


def test_every_field_of_an_item_is_stored(world: World) -> None:
    talk, failed = world.talks[5]
    item = browsing.item(world.loop, talk.conversation_id)

    assert isinstance(item, ConversationItem)
    assert item.intents == tuple(dict.fromkeys(one.intent for one in talk.turns))
    assert item.lowest_confidence == lowest(talk)
    assert item.thumbs_up == sum(one.thumbs > 0 for one in talk.turns)
    assert item.opening == talk.turns[0].text
    assert item.signals == tuple(sorted(kinds(talk, failed)))
    assert (item.last_at or START).tzinfo is timezone.utc
    with pytest.raises(NotFound):
        browsing.item(world.loop, "0" * 16)


def test_a_database_in_use_is_opened_by_another_process(url: str, world: World, tmp_path: Path) -> None:
    assert Store(url).count_conversations(Filter(), 0.5, 1_000) == COUNT
