"""A/B tests of wordings: write one, start it, watch it, stop it, adopt what it has shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.context import Hub, form_of, hub_of, user_of
from hub.experiments.views import answers_to_try, read_experiments, view_of
from hub.forms import Form
from hub.live import Topic
from hub.rendering import leave_notice
from hub.review.decisions import write_branch
from hub.routing import action, page
from hub.staff.roles import Right
from hub.texts import experiments as experiment_texts
from learning.adoption import adopt as adopt_variant
from learning.errors import EvergreenError, NotFound, ReviewError, StoreError
from learning.experiments import create as create_experiment
from learning.experiments import draft
from learning.experiments import start as start_experiment
from learning.experiments import stop as stop_experiment
from learning.model import Experiment
from learning.verdicts import METRICS

SEE_OTHER = 303
DATABASE = "learning database"  # begins the item of what failed there; other store errors say that somebody was first
HOME = "/experiments"
NEW_VARIANTS = 3  # fields of new wordings; more make the parts so small that nothing is ever shown
MOST_ABOUT = 255  # characters of a label


@dataclass(frozen=True)
class Written:
    """What was typed into the form for a new experiment."""

    name: str = ""
    about: str = ""
    metric: str = next(iter(METRICS))
    variants: tuple[tuple[str, str], ...] = tuple((f"wording_{number}", "") for number in range(1, NEW_VARIANTS + 1))

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """The wordings that have a text."""
        return tuple((name, text) for name, text in self.variants if text)


def experiments(request: Request) -> Response:
    """Show the experiments and what they have shown so far."""
    hub = hub_of(request)
    return hub.renderer.page(request, "experiments.html", experiments=read_experiments(hub.loop))


def new(request: Request) -> Response:
    """Show the form for a new experiment; without an answer chosen, the choice."""
    return _form(request, Written(about=request.query_params.get("about", "")[:MOST_ABOUT]))


def create(request: Request) -> Response:
    """Write a draft, or show what it would be."""
    hub, form = hub_of(request), form_of(request)
    written = _written(form)
    if not written.texts:
        return _form(request, written, experiment_texts.NEED_TEXT, 422)
    make = create_experiment if form.get("do") == "create" else draft
    try:
        found, notes = make(hub.loop, written.name, written.about, written.texts, written.metric, user_of(request))
    except (ReviewError, StoreError) as error:
        return _form(request, written, _said(error), 422)
    if make is draft:
        return _form(request, written, preview=found, notes=notes)
    leave_notice(request, experiment_texts.DONE_CREATED.format(name=found.name), " ".join(notes))
    return RedirectResponse(f"{HOME}/{found.experiment_id}", SEE_OTHER)


def experiment(request: Request) -> Response:
    """Show one experiment, and what can be done with it."""
    return _page(request)


def start(request: Request) -> Response:
    """Let running bots tell it."""
    hub = hub_of(request)
    found = _found(request)
    try:
        start_experiment(hub.loop, found.experiment_id, user_of(request), form_of(request).reason)
    except (ReviewError, StoreError) as error:
        return _page(request, _said(error), 409)
    return _back(request, found, experiment_texts.DONE_STARTED.format(name=found.name))


def stop(request: Request) -> Response:
    """End it."""
    hub, form = hub_of(request), form_of(request)
    found = _found(request)
    if not form.reason:
        return _page(request, experiment_texts.NEED_REASON, 422, "stop")
    try:
        stop_experiment(hub.loop, found.experiment_id, user_of(request), form.reason)
    except (ReviewError, StoreError) as error:
        return _page(request, _said(error), 409)
    return _back(request, found, experiment_texts.DONE_STOPPED.format(name=found.name))


def adopt(request: Request) -> Response:
    """Make a wording the answer for everybody."""
    hub, form = hub_of(request), form_of(request)
    found, chosen, anyway = _found(request), form.get("variant"), form.get("anyway") == "1"
    if not chosen:
        return _page(request, experiment_texts.NEED_CHOICE, 422, "adopt")
    if anyway and not form.reason:
        return _page(request, experiment_texts.NEED_REASON, 422, "adopt-reason")
    try:
        _, release = adopt_variant(hub.loop, found.experiment_id, chosen, user_of(request), form.reason, anyway)
    except (ReviewError, StoreError) as error:
        return _page(request, _said(error), 409)
    if release is None:
        return _back(request, found, experiment_texts.DONE_ADOPTED_SAME.format(winner=chosen))
    warning = write_branch(hub)[1]
    said = experiment_texts.BRANCH_PROBLEM.format(problem=warning) if warning else ""
    done = experiment_texts.DONE_ADOPTED.format(number=release.number, winner=chosen)
    return _back(request, found, done, said)


def _found(request: Request) -> Experiment:
    """Return the experiment of the address, which names it in full."""
    wanted = request.path_params["experiment_id"]
    found: Experiment = hub_of(request).loop.store.experiment(wanted)
    if found.experiment_id != wanted:
        raise NotFound("does not exist", f"Experiment {wanted}", "choose one from the list")
    return found


def _written(form: Form) -> Written:
    variants = tuple(
        (form.get(f"name_{number}") or f"wording_{number}", form.get(f"text_{number}"))
        for number in range(1, NEW_VARIANTS + 1)
    )
    return Written(form.get("name"), form.get("about")[:MOST_ABOUT], form.get("metric"), variants)


def _said(error: EvergreenError) -> str:
    """Return what to tell somebody whose action was refused; raise what is a broken database."""
    if error.item.startswith(DATABASE):
        raise error
    return experiment_texts.NOT_DONE.format(what=f"{error.item} {error.what}", next_step=error.next_step)


def _back(request: Request, found: Experiment, done: str, warning: str = "") -> Response:
    leave_notice(request, done, warning)
    return RedirectResponse(f"{HOME}/{found.experiment_id}", SEE_OTHER)


def _form(
    request: Request,
    written: Written,
    problem: str = "",
    code: int = 200,
    preview: Experiment | None = None,
    notes: tuple[str, ...] = (),
) -> Response:
    hub = hub_of(request)
    answers = answers_to_try(hub.loop)
    about = (written.about, written.about.removeprefix("utter_"))
    answer = next((one for one in answers if one.label in about or one.response in about), None)
    content: dict[str, Any] = {"written": written, "answers": answers, "answer": answer, "metrics": tuple(METRICS)}
    return hub.renderer.page(
        request, "experiments_new.html", code, **content, preview=preview, notes=notes, problem=problem
    )


def _page(request: Request, problem: str = "", code: int = 200, wrong: str = "") -> Response:
    hub: Hub = hub_of(request)
    return hub.renderer.page(
        request,
        "experiments_one.html",
        code,
        one=view_of(hub.loop, _found(request)),
        chance=100 * hub.loop.settings.experiments.false_winners,
        problem=problem,
        wrong=wrong,
        typed=form_of(request),
    )


def _mark(hub: Hub) -> str:
    """Return what changes whenever an experiment does, or what is counted for it."""
    store = hub.loop.store
    mined = store.last_run("mine")
    return f"{store.overlay_version()} {len(store.experiments())} {mined['number'] if mined else 0}"


ROUTES = (
    page(HOME, experiments),
    page("/experiments/new", new, Right.REVIEW),
    action("/experiments/new", create),
    page("/experiments/{experiment_id}", experiment),
    action("/experiments/{experiment_id}/start", start),
    action("/experiments/{experiment_id}/stop", stop),
    action("/experiments/{experiment_id}/adopt", adopt),
)
TOPICS = (Topic("experiments", _mark, Right.LOOK),)
