from __future__ import annotations

import re
from pathlib import Path

import pytest
from nlu_fakes import NOW, FixedLog, FixedModel, WordEncoder, no_log, shop_examples

from learning.errors import ProjectError, SettingsError
from learning.model import FALLBACK_INTENT, Example
from learning.nlu_page import breakable, render_page, write_page
from learning.nlu_picture import DARK, LIGHT, MOST_INTENTS, draw_confusion, shown_intents
from learning.nlu_report import Material, build_report
from learning.nlu_report.scores import score

HOSTILE = "<script>alert('x')</script> & \"more\""
HOLDOUT = [
    *(Example("where has it got to", "track_order"), Example(HOSTILE, "track_order")),
    *(Example("my money please", "refund_status"), Example("odd one", "refund_status")),
]
MODEL = FixedModel(
    {
        "where has it got to": ("track_order", 0.9),
        HOSTILE: ("refund_status", 0.8),
        "my money please": ("refund_status", 0.7),
        "odd one": (FALLBACK_INTENT, 1.0),
    }
)


def built(model: Path | None = Path("models/m.tar.gz"), open_log=no_log, examples=None, say=lambda step: None):
    material = Material(examples or shop_examples(), HOLDOUT, ("track_order", "refund_status", "complaint"))
    return build_report(material, WordEncoder(), MODEL, model, open_log, NOW, say=say)


def test_the_page_begins_with_what_to_fix_first_and_needs_nothing_from_outside():
    html = render_page(built())
    assert re.findall("<h2>([^<]*)", html)[0] == "What to fix first"
    assert not re.search(r"""(src|href|srcset)=["'](?!data:|#)""", html)
    assert "http" not in re.sub('data:[^"]*', "", html).replace("http-equiv", "")
    assert html.count("data:image/png;base64,") == 2
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html


def test_texts_are_escaped():
    examples = [*shop_examples(), Example(HOSTILE, "track_order"), Example(HOSTILE, "<b>bold</b>")]
    html = render_page(built(examples=examples))
    assert "<script" not in html
    assert "<b>bold</b>" not in html
    assert "&lt;script&gt;" in html
    assert str(breakable("<i>a_b")) == "&lt;i&gt;a_<wbr>b"


@pytest.mark.parametrize("model", [Path("models/m.tar.gz"), None])
def test_every_detail_that_an_action_points_to_is_on_the_page(model):
    examples = [*shop_examples(), Example("where is my red parcel now", "refund_status"), Example("hi", "greet")]
    html = render_page(built(model, examples=examples))
    targets = set(re.findall('href="#([^"]+)"', html))
    assert targets
    assert targets <= set(re.findall('id="([^"]+)"', html))


def test_without_a_model_the_data_is_still_checked():
    report = built(model=None)
    html = render_page(report)
    assert report.scores is None
    assert "no model was measured" in html
    assert "data:image" not in html
    assert "Balance of the training data" in html


def test_a_missing_tracker_store_is_said_and_stops_nothing():
    report = built()
    assert report.usage is None
    assert report.usage_missing in render_page(report).replace("&#39;", "'")


def test_use_of_intents_is_shown():
    html = render_page(built(open_log=lambda: FixedLog({"track_order": (900, NOW), "refund_status": (5, NOW)})))
    assert "Never seen</b> in 905 messages: complaint" in html


def test_long_steps_are_announced():
    steps: list[str] = []
    render_page(built(say=steps.append), steps.append)
    assert any("encoding" in step for step in steps)
    assert any("m.tar.gz" in step for step in steps)
    assert any("drawing" in step for step in steps)


def test_no_examples_is_an_error_that_says_what_to_do():
    with pytest.raises(ProjectError) as caught:
        build_report(Material([], HOLDOUT, ()), WordEncoder(), MODEL, None, no_log, NOW)
    assert "project.data" in str(caught.value)


def test_a_page_that_cannot_be_written_is_an_error_with_its_path(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError) as caught:
        write_page(tmp_path / "file" / "nlu.html", "x")
    assert "--out" in str(caught.value)


def test_a_page_replaces_the_old_one_and_leaves_no_scraps(tmp_path):
    target = tmp_path / "reports" / "nlu.html"
    write_page(target, "old")
    write_page(target, "new \ud800")
    assert target.read_text() == "new ?"
    assert [path.name for path in target.parent.iterdir()] == ["nlu.html"]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_picture_is_a_png_with_any_names(theme):
    names = ["$money$", "意图", "faq/a_b", FALLBACK_INTENT]
    holdout = [Example(f"text {number}", name) for number, name in enumerate(names)]
    model = FixedModel({"text 0": ("意图", 0.9), "text 2": (FALLBACK_INTENT, 1.0)})
    scores = score(holdout, model.predict(Path("m"), [item.text for item in holdout]))
    assert draw_confusion(scores, ["faq/a_b", "意图"], theme).startswith(b"\x89PNG")


def test_with_too_many_intents_those_with_mistakes_are_drawn():
    holdout = [Example(f"text {number}", f"intent_{number:03}") for number in range(100)]
    model = FixedModel({item.text: (item.label, 0.9) for item in holdout[:98]})
    scores = score(holdout, model.predict(Path("m"), [item.text for item in holdout]))
    shown = shown_intents(scores, sorted(item.label for item in holdout))
    assert len(shown) == MOST_INTENTS
    assert {"intent_098", "intent_099", "other"} <= set(shown)
