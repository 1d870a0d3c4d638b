from __future__ import annotations

import asyncio

import pytest

from webchat.memory import KEPT_ANSWERS, Answers, OpenConversation, OpenConversations


def conversation() -> OpenConversation:
    return OpenConversations(messages_per_minute=20, feedback_per_minute=20).get("web-1")


async def nothing() -> Answers:
    return []


def test_a_repeat_finds_the_work_that_is_already_running() -> None:
    async def scenario() -> None:
        one = conversation()
        work = one.start("m-1", nothing)
        assert one.work_on("m-1") is work
        assert one.work_on("m-2") is None
        assert one.busy
        await work
        assert one.work_on("m-1") is work
        assert not one.busy

    asyncio.run(scenario())


def test_the_store_is_asked_until_the_first_success() -> None:
    async def scenario() -> None:
        one = conversation()
        assert one.ask_store
        await one.start("m-1", nothing)
        assert not one.ask_store

    asyncio.run(scenario())


def test_after_a_failure_the_message_can_be_tried_again_after_a_look_at_the_store() -> None:
    async def fail() -> Answers:
        raise ValueError("no back end")

    async def scenario() -> None:
        one = conversation()
        await one.start("m-1", nothing)
        with pytest.raises(ValueError, match="no back end"):
            await one.start("m-2", fail)
        assert one.work_on("m-2") is None
        assert one.work_on("m-1") is not None
        assert one.ask_store

    asyncio.run(scenario())


def test_only_the_latest_answers_are_kept() -> None:
    async def scenario() -> None:
        one = conversation()
        for number in range(KEPT_ANSWERS + 5):
            await one.start(f"m-{number}", nothing)
        assert one.work_on("m-4") is None
        assert one.work_on("m-5") is not None
        assert one.work_on(f"m-{KEPT_ANSWERS + 4}") is not None

    asyncio.run(scenario())


def test_the_least_recently_used_conversation_is_forgotten_first() -> None:
    memory = OpenConversations(messages_per_minute=1, feedback_per_minute=1, keep=2)
    first, second = memory.get("web-1"), memory.get("web-2")
    assert memory.get("web-1") is first
    memory.get("web-3")
    assert len(memory) == 2
    assert memory.get("web-1") is first
    assert memory.get("web-2") is not second


def test_a_conversation_that_is_being_answered_is_not_forgotten() -> None:
    async def scenario() -> None:
        release = asyncio.Event()

        async def slow() -> Answers:
            await release.wait()
            return []

        memory = OpenConversations(messages_per_minute=1, feedback_per_minute=1, keep=1)
        first = memory.get("web-1")
        work = first.start("m-1", slow)
        memory.get("web-2")
        assert memory.get("web-1") is first
        release.set()
        await work

    asyncio.run(scenario())
