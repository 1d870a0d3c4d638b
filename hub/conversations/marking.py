"""One conversation: read turn by turn, judged, corrected, tagged, and made a test story of."""

from __future__ import annotations

import difflib

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.context import Hub, form_of, hub_of, user_of
from hub.conversations import filters, transcript_view
from hub.conversations.blank import is_blank
from hub.conversations.filters import LIST
from hub.conversations.lists import SEE_OTHER, read_state, told
from hub.conversations.transcript_view import View
from hub.errors import Conflict, Incomplete
from hub.forms import Form
from hub.rendering import leave_notice
from hub.routing import action, page
from hub.texts import conversations as words
from learning import annotations as turn_annotations
from learning import browsing, test_stories, transcripts
from learning.annotations import AnnotationChanged
from learning.browsing import ReviewMark
from learning.browsing_records import Verdict
from learning.errors import NotFound, ReviewError
from learning.review import is_unsayable

ONE = f"{LIST}/{{conversation_id}}"
TURN = "turn-"  # begins the id of a turn
SUGGESTIONS = 3  # labels that are offered in place of one that there is not


def conversation(request: Request) -> Response:
    """Show one conversation with how each message was understood."""
    return _page(request, request.query_params)


def annotate(request: Request) -> Response:
    """Keep what a person says of a turn: right, wrong with what it should be, or a note."""
    hub, form, turn_id = hub_of(request), form_of(request), request.path_params["turn_id"]
    try:
        said = _annotate(hub, form, request.path_params["conversation_id"], turn_id, user_of(request))
    except AnnotationChanged as error:
        if _said_already(request, turn_id):  # a second click
            return _back(request, f"{TURN}{turn_id}")
        return _page(request, _params(form), told(error), 409, turn_id, form)
    except Incomplete as error:
        return _page(request, _params(form), error.what, 422, turn_id, form)
    except ReviewError as error:
        return _page(request, _params(form), told(error), 422, turn_id, form)
    leave_notice(request, said)
    return _back(request, f"{TURN}{turn_id}")


def undo(request: Request) -> Response:
    """Take back what was said of a turn."""
    hub, form = hub_of(request), form_of(request)
    try:
        undone = turn_annotations.undo_annotation(hub.loop, request.path_params["annotation_id"], user_of(request))
    except NotFound as error:  # a second click, or somebody else was faster
        return _page(request, _params(form), told(error), 409)
    leave_notice(request, words.DONE_UNDONE)
    return _back(request, f"{TURN}{undone.annotation.turn_id}", form)


def rest_right(request: Request) -> Response:
    """Mark every turn without a verdict as right, and the conversation as done."""
    hub, form, user = hub_of(request), form_of(request), user_of(request)
    conversation_id, params = request.path_params["conversation_id"], _params(form)
    view = transcript_view.read(hub.loop, conversation_id, params)
    if form.get("seen") != view.seen:
        if view.item.review is ReviewMark.DONE and not view.unmarked:  # a second click
            return _onward(view)
        return _page(request, params, words.CHANGED_TURN, 409)
    try:
        for one in view.unmarked:
            turn = one.turn
            turn_annotations.annotate(hub.loop, conversation_id, turn.turn_id, user, Verdict.RIGHT, seen=turn.mark)
    except AnnotationChanged:
        return _page(request, params, words.CHANGED_TURN, 409)
    browsing.set_review(hub.loop, [conversation_id], ReviewMark.DONE, user)
    marked = words.DONE_REST.format(count=words.messages(len(view.unmarked)))
    done = words.DONE_MARKED.format(count=words.conversations(1), state=words.STATES[ReviewMark.DONE])
    leave_notice(request, f"{marked} {done}" if view.unmarked else done)
    return _onward(view)


def review(request: Request) -> Response:
    """Note how far the review of a conversation is; what is done leads on to the next one."""
    hub, form = hub_of(request), form_of(request)
    conversation_id, params = request.path_params["conversation_id"], _params(form)
    try:
        state = read_state(form.get("state"))
        present = browsing.item(hub.loop, conversation_id).review
        if form.get("was") != present.value and present is not state:
            raise Conflict(words.CHANGED_STATE.format(state=words.STATES[present]), conversation_id, "")
    except Incomplete as error:
        return _page(request, params, error.what, 422)
    except Conflict as error:
        return _page(request, params, error.what, 409)
    browsing.set_review(hub.loop, [conversation_id], state, user_of(request))
    leave_notice(request, words.DONE_MARKED.format(count=words.conversations(1), state=words.STATES[state]))
    if state is not ReviewMark.DONE:
        return _back(request)
    item = browsing.item(hub.loop, conversation_id)
    around = transcript_view.neighbors(hub.loop, item, params)
    return RedirectResponse(around.address(around.next) if around.next else around.back, SEE_OTHER)


def tag(request: Request) -> Response:
    """Put a tag on a conversation, or take it off."""
    hub, form = hub_of(request), form_of(request)
    conversation_id, named = request.path_params["conversation_id"], form.get("tag")
    try:
        if not named:
            raise Incomplete(words.NEED_TAG, "tag", "")
        change = browsing.remove_tag if form.get("do") == "untag" else browsing.add_tag
        browsing.item(hub.loop, conversation_id)
        change(hub.loop, [conversation_id], named, user_of(request))
    except Incomplete as error:
        return _page(request, _params(form), error.what, 422, "tag", form)
    except ReviewError as error:
        return _page(request, _params(form), told(error), 422, "tag", form)
    return _back(request, "tags")


def story(request: Request) -> Response:
    """Show a conversation as a test story."""
    hub = hub_of(request)
    found = transcripts.read(hub.loop, request.path_params["conversation_id"])
    return hub.renderer.page(
        request,
        "conversations_story.html",
        item=found.item,
        story=test_stories.test_story(found) if found.turns else "",
        query=_context(request.query_params),
    )


def story_file(request: Request) -> Response:
    """Send the test story of a conversation as a file."""
    found = transcripts.read(hub_of(request).loop, request.path_params["conversation_id"])
    name = f"test_{found.item.conversation_id}.yml"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(test_stories.test_story(found), media_type="application/yaml; charset=utf-8", headers=headers)


def _annotate(hub: Hub, form: Form, conversation_id: str, turn_id: str, user: str) -> str:
    """Keep the annotation of a form; return what to say of it."""
    verdict, right, note = form.get("verdict"), form.get("right"), _keepable(form.get("note"))
    if verdict not in {one.value for one in Verdict}:
        raise Incomplete(words.NEED_STATE, "verdict", "")
    kind = Verdict(verdict)
    if kind is Verdict.NOTE and not note:
        raise Incomplete(words.NEED_NOTE, "note", "")
    if kind is Verdict.WRONG and right:
        _check_known(right, turn_annotations.labels(hub.loop))
    made = turn_annotations.annotate(
        hub.loop,
        conversation_id,
        turn_id,
        user,
        kind,
        right=right if kind is Verdict.WRONG else "",
        note=note,
        seen=form.get("seen"),
    )
    said = {Verdict.RIGHT: words.DONE_RIGHT, Verdict.WRONG: words.DONE_WRONG, Verdict.NOTE: words.DONE_NOTE}[kind]
    example = words.DONE_EXAMPLE.format(label=right) if made.proposal_id else made.note
    return f"{said} {example}".strip()


def _said_already(request: Request, turn_id: str) -> bool:
    """Whether the last thing said of a turn is what the form says, by the same person."""
    form, loop = form_of(request), hub_of(request).loop
    found = transcripts.read(loop, request.path_params["conversation_id"])
    said = [one for turn in found.turns if turn.turn_id == turn_id for one in turn.annotations]
    if not said:
        return False
    last = max(said, key=lambda one: one.at)
    right = form.get("right") if last.verdict is Verdict.WRONG else ""
    typed = (user_of(request), form.get("verdict"), right, _keepable(form.get("note")))
    return typed == (last.who, last.verdict.value, last.right, last.note)


def _keepable(note: str) -> str:
    """Return a note without the characters that cannot be seen: what is pasted often has some."""
    return "".join(char if char == "\n" or not is_unsayable(char) else " " for char in note).strip()


def _check_known(label: str, known: tuple[str, ...]) -> None:
    """Raise `Incomplete` for a label that there is not, with those that it may have been meant as."""
    if label in known:
        return
    near = difflib.get_close_matches(label, known, SUGGESTIONS)
    hint = words.DID_YOU_MEAN.format(labels=", ".join(near)) if near else ""
    raise Incomplete(f"{words.NEED_KNOWN.format(label=label)} {hint}".strip(), "right", "")


def _page(
    request: Request, params: QueryParams, problem: str = "", code: int = 200, wrong: str = "", form: Form | None = None
) -> Response:
    """Render a conversation; `problem` is about the turn or the field `wrong`, `form` is what was typed there."""
    hub = hub_of(request)
    signals = hub.loop.settings.signals
    return hub.renderer.page(
        request,
        "conversations_one.html",
        code,
        view=transcript_view.read(hub.loop, request.path_params["conversation_id"], params),
        problem=problem,
        wrong=wrong,
        form=form or Form(),
        invalid=code == 422,
        tags=browsing.choices(hub.loop).tags,
        unfamiliar=signals.unfamiliar,
        frustrated=signals.frustration,
        is_blank=is_blank,
    )


def _params(form: Form) -> QueryParams:
    """Return the list that the page of a form was read in."""
    return filters.as_params(form.get("in"))


def _context(params: QueryParams) -> str:
    """Return the list that a page is read in, as a query string."""
    draw = params.get(transcript_view.DRAW, "")
    return f"{transcript_view.DRAW}={draw}" if draw.isalnum() else filters.read(params).query


def _back(request: Request, fragment: str = "", form: Form | None = None) -> Response:
    path = f"{LIST}/{request.path_params['conversation_id']}"
    return RedirectResponse(filters.address(path, _context(_params(form or form_of(request))), fragment), SEE_OTHER)


def _onward(view: View) -> Response:
    around = view.around
    return RedirectResponse(around.address(around.next) if around.next else around.back, SEE_OTHER)


ROUTES = (
    page(ONE, conversation),
    page(f"{ONE}/story", story),
    page(f"{ONE}/story.yml", story_file),
    action(f"{ONE}/turns/{{turn_id}}", annotate),
    action(f"{ONE}/annotations/{{annotation_id}}/undo", undo),
    action(f"{ONE}/rest-right", rest_right),
    action(f"{ONE}/review", review),
    action(f"{ONE}/tags", tag),
)
