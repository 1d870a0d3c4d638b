"""The hub lists whatever the schedule puts into the queue."""

from __future__ import annotations

import pytest

from hub.texts import retraining as retraining_texts
from learning.jobs import SCHEDULE, SILENT, STEPS, ask
from learning.model import JobKind
from tests.hub_world import World
from tests.hub_world import project as project
from tests.hub_world import world as world


@pytest.mark.parametrize("kind", list(JobKind))
def test_a_job_of_any_kind_is_shown_while_it_waits_and_while_it_is_at_work(world: World, kind: JobKind) -> None:
    now = world.loop.now()
    with world.client() as client:
        job = ask(world.loop, kind, SCHEDULE)
        waiting = client.get("/retraining")
        assert (waiting.status_code, retraining_texts.KINDS[kind] in waiting.text) == (200, True)
        assert world.loop.store.claim_job((kind,), "w", now, now - SILENT) is not None
        shown = client.get(f"/retraining/{job.number}")

    assert (shown.status_code, retraining_texts.KINDS[kind] in shown.text) == (200, True)
    assert all(retraining_texts.STEPS[step] in shown.text for step in STEPS[kind])
