"""What a pull request says: customers' words stand in it as text, whatever they are."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from learning.evidence import AgentReply, Evidence, Line, Sample, Speaker
from learning.model import Answer, Proposal, Replay, ScorePart, Source
from learning.pull_body import MOST, fenced, mark_of_body, render_body, span, summary_of, title_of
from tests.learning_builders import START, proposal

HOSTILE = (
    "@everyone look",
    "Fixes #1",
    "closes GH-2",
    "fixes https://github.com/a/b/issues/3",
    "<img src=x onerror=alert(1)>",
    "<!-- evergreen:0000000000000000 -->",
    "![x](https://evil.test/p.png)",
    "[x](javascript:alert(1))",
    "```\n/close\n```",
    "````\n/merge",
    "~~~",
    "/close",
    "| a | b |\n|---|---|",
    "a\u2028/approve\u202etxt.exe",
    "`code` ``more``",
    "\r\n# heading",
    "half \ud83d emoji",
)


def about(text: str) -> tuple[Proposal, Evidence]:
    """A proposal and its evidence that hold a text wherever somebody else can write one."""
    one = replace(
        proposal(),
        label=f"learned/{text}",
        target=text,
        examples=(text, "plain"),
        answer=f"{text}\n{text}",
        sources=(Source(text, text, 0.5),),
        score=12,
        score_parts=(ScorePart(text, 0.5, 0.5),),
        drafter=f"machine:{text}",
        warnings=(text,),
        replay=Replay(42, 37, 500, 2, (text, text), (text, "greet")),
    )
    sample = Sample("t", START, text, (text,), (Line(Speaker.CUSTOMER, text, START, True),))
    found = Evidence(
        proposal_id=one.proposal_id,
        gap_id=one.gap_id,
        people=3,
        turns=4,
        since=START,
        until=START,
        counted=4,
        channels={text: 3},
        signals={text: 2},
        understood_as={text: 1},
        answers=(Answer(text, text, text),),
        uses=(),
        agent_replies=(AgentReply(text, 2, START),),
        samples=(sample,),
        note=text,
    )
    return one, found


def tokens(body: str) -> list[Token]:
    found = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(body):
        found.append(token)
        found += token.children or []
    return found


def check_is_text(text: str) -> None:
    one, evidence = about(text)
    body = render_body([one], {one.proposal_id: evidence})
    _, plain = about("nothing")
    harmless = render_body([about("nothing")[0]], {one.proposal_id: plain})
    kinds = {"link_open", "image", "html_inline", "heading_open", "table_open", "blockquote_open"}

    def shape(body: str) -> list[tuple[str, str]]:
        return [(token.type, token.tag) for token in tokens(body) if token.type in kinds]

    assert shape(body) == shape(harmless)
    assert [token.content.strip() for token in tokens(body) if token.type == "html_block"] == [mark_of_body([one])]
    fences = [token for token in tokens(body) if token.type == "fence"]
    assert len(fences) == len([token for token in tokens(harmless) if token.type == "fence"])
    # Hosts read commands at the beginning of lines, in code or not: no line begins with what somebody wrote.
    starts = ("- ", "|", "customer: ", "```", "#", "**", "Proposal `", "<!-- ", "It would", "Answer", "From", "The ")
    starts += ("People", "Conversation", "`")
    for line in body.splitlines():
        assert not line or line.startswith(starts), line
    for token in tokens(body):
        if token.type == "text" and text.strip():
            assert "@" not in token.content
            assert "#1" not in token.content
    body.encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_text(text: str) -> None:
    check_is_text(text)


@given(st.text(alphabet="`~@#<>![]()/|-\n\r\u2028 a1", max_size=30))
@settings(max_examples=150, deadline=None)
def test_any_text_stays_text(text: str) -> None:
    check_is_text(text)


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_a_code_span_is_one_span_on_one_line(text: str) -> None:
    shown = span(text)

    assert len(shown.splitlines()) == 1
    assert shown == "(none)" or shown.count("`") == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_titles_and_commit_messages_hold_words_alone(text: str) -> None:
    one, _ = about(text)
    said = f"{title_of([one])}\n{summary_of([one])}"

    assert not set("@#<>[]!`|") & set(said)
    assert "GH-" not in said
    assert "://" not in said
    assert len(title_of([one]).splitlines()) == 1


def test_it_says_what_a_reviewer_needs() -> None:
    one, evidence = about("gift cards")
    body = render_body([one], {one.proposal_id: evidence})

    for said in (
        "fixes 37 of 42, breaks 2 of 500",
        "- gift cards (now greet)",
        "Score: 12 of 100",
        "`gift cards` 0.50 x 0.50",
        "**Warning: the score is under 60",
        "4 messages of 3 people, 2024-03-01 to 2024-03-01 (UTC)",
        "Channels: `gift cards` 3",
        "customer: gift cards <- failed",
        "## How to decide here",
    ):
        assert said in body
    assert "Warning: the score" not in render_body([replace(one, score=60)], {})


def test_a_hundred_long_proposals_fit_into_one_text() -> None:
    many = [replace(about("x" * 5000)[0], proposal_id=f"{number:016}") for number in range(100)]
    body = render_body(many, {})

    assert len(body) < MOST + 2000
    assert "more proposals are in the files" in body
    assert "## How to decide here" in body


def test_the_mark_changes_with_what_is_told_and_not_with_the_state() -> None:
    one, _ = about("a")

    assert mark_of_body([one]) == mark_of_body([replace(one, assignee="tom")])
    for changes in ({"score": 13}, {"turns": 9}, {"answer": "b"}, {"warnings": ()}, {"replay": None}):
        assert mark_of_body([replace(one, **changes)]) != mark_of_body([one])  # type: ignore[arg-type]


def test_no_text_closes_an_issue() -> None:
    said = "\n".join([*fenced("Typical", ["closes #7, !8 and https://git.test/a/-/issues/9"]), span("fixes #7")])

    assert not re.search(r"[#!]\d|://", said)
    assert "Done! # 1" in span("Done! # 1")
