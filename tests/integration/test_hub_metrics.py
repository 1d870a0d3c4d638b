"""The metrics pages: numbers with definitions and links, times that are asked for, hostile names, files."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from hub.app import ROUTES
from hub.metrics.query import read_query
from learning.metrics import METRICS
from learning.model import Outcome, ServiceCall
from tests.hub_world import HOSTILE, NOW, Page, World
from tests.hub_world import project as project
from tests.hub_world import world as world
from tests.learning_builders import mined, turn

PAGES = [route.path for route in ROUTES if getattr(route, "path", "").startswith("/metrics")]


def talk(world: World, number: int, **more) -> None:
    ended = NOW - timedelta(days=number % 20, hours=1)
    said = turn(f"message {number}", **more.pop("said", {}))
    values = {
        "turns": (said,),
        "conversation_id": f"{number:016x}",
        "started": ended - timedelta(minutes=2),
        "last_at": ended,
        "first_row": number,
        "last_row": number,
        "calls": (ServiceCall("shop", "balance", "ok", 20.0),),
    }
    world.store.save_batch([mined(f"person{number}", f"message {number}", **{**values, **more})], [], None)


@pytest.fixture
def filled(world: World) -> World:
    for number in range(1, 31):
        outcome = list(Outcome)[1 + number % 3]
        reason = {Outcome.ESCALATED: "asked", Outcome.ABANDONED: "rated_down"}.get(outcome, "")
        talk(world, number, outcome=outcome, reason=reason, said={"csat": 1 + number % 5, "channel": "web"})
    world.store.count_days()
    return world


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_without_any_data_too(world, path):
    answer = world.client().get(path)
    assert answer.status_code == 200, answer.text


def test_every_number_has_its_definition_its_interval_and_its_conversations(filled):
    html = filled.client().get("/metrics").text
    for metric in METRICS:
        assert f'id="metric-{metric.key}"' in html
    assert html.count("What this is") == len(METRICS)
    assert "33.3 %" in html
    assert "95 % interval: " in html
    until, since = NOW.date(), NOW.date() - timedelta(days=19)  # the first conversation
    assert f"/conversations?outcome=resolved&amp;since={since}&amp;until={until}" in html
    begin = NOW.date() - timedelta(days=27)
    assert f"/conversations?outcome=escalated&amp;reason=asked&amp;since={begin}&amp;until={until}" in html
    assert "from 30 on the accuracy is told" in html


def test_charts_carry_their_data_and_the_same_as_a_table(filled):
    for path, least in (("/metrics", 5), ("/metrics/services", 2)):
        html = filled.client().get(path).text
        blocks = re.findall(r'<script type="application/json">(.*?)</script>', html, re.S)
        assert len(blocks) >= least
        assert html.count("As a table") >= len(blocks)
        for block in blocks:
            data = json.loads(block)
            assert all(len(series["values"]) == len(data["labels"]) for series in data["series"])


def test_names_from_outside_stay_texts(world):
    call = ServiceCall("</script><b>x", "refund", "ok", 5.0)
    talk(world, 1, outcome=Outcome.ESCALATED, reason=HOSTILE, said={"channel": HOSTILE[:60]}, calls=(call,))
    world.store.count_days()
    for path in ("/metrics", "/metrics/services", "/metrics/report"):
        html = world.client().get(path).text
        assert "b" not in Page(html).tags
        assert "onerror=alert(1)>" not in html
        assert "</script><b>" not in html


@pytest.mark.parametrize(
    "query",
    ["days=6", "since=soon", "since=2025-02-01&until=2025-01-01", "since=0001-01-01&until=0001-01-02", "compare=then"],
)
@pytest.mark.parametrize("path", ["/metrics", "/metrics/report", "/metrics/confusion", "/metrics/report.csv"])
def test_what_cannot_be_used_is_said_and_the_default_shown(filled, path, query):
    answer = filled.client().get(f"{path}?{query}")
    assert answer.status_code == (200 if path.endswith(".csv") else 422)
    if not path.endswith(".csv"):
        assert 'id="problem"' in answer.text


def test_a_time_goes_along_from_page_to_page(filled):
    html = filled.client().get("/metrics?since=2025-11-01&until=2025-11-10&compare=none&channel=web").text
    kept = "since=2025-11-01&amp;until=2025-11-10&amp;compare=none&amp;channel=web"
    assert f"/metrics/services?{kept}" in html
    assert f"/metrics/report.csv?{kept}" in html
    assert "before:" not in html


def test_addresses_of_a_query_are_read_back_the_same():
    for params in ({"days": "90"}, {"since": "2025-01-01", "until": "2025-02-01", "compare": "2024-01-01"}):
        asked = read_query(params, NOW.date())
        assert not asked.problem
        pairs = dict(part.split("=") for part in asked.address("/metrics").partition("?")[2].split("&"))
        assert read_query(pairs, NOW.date()) == asked


def test_files_are_files(filled):
    for path in ("/metrics/report.csv", "/metrics/days.csv"):
        answer = filled.client().get(path)
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.text.count("\n") > len(METRICS)


def test_whoever_only_answers_customers_sees_no_numbers(filled):
    for path in PAGES:
        assert filled.client("agnes", role="agent").get(path).status_code == 403
