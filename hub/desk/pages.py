"""The desk in the hub: the queue, one chat, and what agents do with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from desk import service
from desk.bootstrap import build_desk
from desk.desk import Desk
from desk.errors import NotSaid, Taken
from desk.model import LONGEST_NOTE, LONGEST_REPLY, Handover
from hub.context import Hub, form_of, hub_of, user_of
from hub.desk.views import ChatView
from hub.live import Topic
from hub.rendering import leave_notice
from hub.routing import action, page
from hub.staff.roles import Right
from hub.texts import desk as texts
from learning.model import sender_key

SEE_OTHER = 303
LONGEST_ID = 64
LARGEST_ROW = 2**62


def queue(request: Request) -> Response:
    """Show what waits."""
    hub = hub_of(request)
    found = service.queue(_desk(hub), user_of(request))
    return hub.renderer.page(request, "desk.html", queue=found, now=hub.loop.now(), waited=texts.waited)


def duty(request: Request) -> Response:
    """Go on duty or off."""
    on_duty = form_of(request).get("to") == "on"
    service.set_duty(_desk(hub_of(request)), user_of(request), on_duty)
    leave_notice(request, texts.DONE_ON_DUTY if on_duty else texts.DONE_OFF_DUTY)
    return RedirectResponse("/desk", SEE_OTHER)


def presence(request: Request) -> Response:
    """Note that the person still looks at the desk; a script says so every half minute."""
    desk = _desk(hub_of(request))
    desk.store.touch(user_of(request), desk.now())
    return Response(status_code=204)


def chat(request: Request) -> Response:
    """Show one chat."""
    return _chat_page(request)


def take(request: Request) -> Response:
    """Take a chat out of the queue."""

    def run(desk: Desk, handover_id: str) -> str:
        service.take(desk, handover_id, user_of(request), _message_id(request))
        return texts.DONE_TAKEN

    return _act(request, run)


def release(request: Request) -> Response:
    """Put a chat back into the queue."""

    def run(desk: Desk, handover_id: str) -> str:
        service.release(desk, handover_id, user_of(request))
        return texts.DONE_RELEASED

    return _act(request, run, "/desk")


def transfer(request: Request) -> Response:
    """Give a chat to a colleague."""

    def run(desk: Desk, handover_id: str) -> str:
        to = form_of(request).get("to")
        service.transfer(desk, handover_id, user_of(request), to, _message_id(request))
        return texts.DONE_TRANSFERRED.format(who=to)

    return _act(request, run, "/desk")


def reply(request: Request) -> Response:
    """Answer the customer."""

    def run(desk: Desk, handover_id: str) -> str:
        service.reply(desk, handover_id, user_of(request), form_of(request).get("text"), _message_id(request))
        return ""

    return _act(request, run)


def typing(request: Request) -> Response:
    """Note that an answer is being written; a script says so every few seconds."""
    with suppress(Taken):  # somebody else has the chat by now: the page will say so
        service.note_typing(_desk(hub_of(request)), request.path_params["handover_id"], user_of(request))
    return Response(status_code=204)


def finish(request: Request) -> Response:
    """Settle a chat: all is done, or the assistant goes on."""
    form = form_of(request)
    returned = form.get("how") == "return"
    row = form.get("seen_row")
    seen_row = int(row) if row.isascii() and row.isdigit() and len(row) < len(str(LARGEST_ROW)) else 0

    def run(desk: Desk, handover_id: str) -> str:
        service.close(desk, handover_id, user_of(request), returned, form.get("note"), seen_row, _message_id(request))
        return texts.DONE_RETURNED if returned else texts.DONE_RESOLVED

    return _act(request, run, "/desk")


def teach(request: Request) -> Response:
    """Mark an agent's answer as what the assistant should have said."""
    form = form_of(request)

    def run(desk: Desk, handover_id: str) -> str:
        is_on = form.get("to") == "on"
        is_new = service.teach(desk, handover_id, user_of(request), form.get("message"), is_on)
        return texts.DONE_TAUGHT if is_new and is_on else ""

    return _act(request, run)


def _act(request: Request, run: Callable[[Desk, str], str], onward: str = "") -> Response:
    """Do something with a chat and go on; or show the chat again with what stood in the way, and what was typed."""
    handover_id = request.path_params["handover_id"]
    try:
        done = run(_desk(hub_of(request)), handover_id)
    except Taken as error:
        return _chat_page(request, texts.TOO_LATE.format(what=error.what), 409)
    except NotSaid as error:
        wrong = {"message": "text", "note": "note"}.get(error.item, "to")
        return _chat_page(request, texts.NOT_SENT.format(item=error.item, what=error.what), 422, wrong)
    if done:
        leave_notice(request, done)
    return RedirectResponse(onward or f"/desk/{handover_id}#end", SEE_OTHER)


def _chat_page(request: Request, problem: str = "", code: int = 200, wrong: str = "") -> Response:
    hub, form, who = hub_of(request), form_of(request), user_of(request)
    found = service.chat(_desk(hub), request.path_params["handover_id"], who)
    ready = {one.key: one.text.replace("{agent}", who) for one in found.canned}
    # Without a script, a ready answer is a link to the page with it typed in.
    typed = form.get("text") or ready.get(request.query_params.get("canned", ""), "")
    return hub.renderer.page(
        request,
        "desk_chat.html",
        code,
        chat=found,
        view=ChatView.of(found, who),
        ready=ready,
        now=hub.loop.now(),
        waited=texts.waited,
        message_id=uuid4().hex,
        typed={"text": typed, "note": form.get("note"), "to": form.get("to")},
        limits={"text": LONGEST_REPLY, "note": LONGEST_NOTE},
        problem=problem,
        wrong=wrong,
    )


def _message_id(request: Request) -> str:
    """Return the id that the form was made with, so that a second click is the same message."""
    found = form_of(request).get("message_id")
    return found if found.isalnum() and found.isascii() and len(found) <= LONGEST_ID else uuid4().hex


def _desk(hub: Hub) -> Desk:
    def audit(who: str, what: str, handover: Handover, detail: str) -> None:
        # Found by the customer's pseudonym, which outlives what the desk keeps of them.
        item = sender_key(handover.sender_id)
        hub.loop.store.note(hub.loop.now(), who, f"desk-{what}", item, handover.handover_id, detail)

    return build_desk(hub.loop.settings, hub.loop.now, audit)


def _mark(hub: Hub) -> str:
    desk = _desk(hub)
    now = desk.now()
    overdue = sum(one.is_overdue(now) for one in desk.store.open_handovers())
    return f"{desk.store.mark()}-{overdue}"


TOPICS = (Topic("desk", _mark, Right.DESK),)
ROUTES = (
    page("/desk", queue, Right.DESK),
    action("/desk/duty", duty, Right.DESK),
    action("/desk/presence", presence, Right.DESK),
    page("/desk/{handover_id}", chat, Right.DESK),
    action("/desk/{handover_id}/take", take, Right.DESK),
    action("/desk/{handover_id}/release", release, Right.DESK),
    action("/desk/{handover_id}/transfer", transfer, Right.DESK),
    action("/desk/{handover_id}/reply", reply, Right.DESK),
    action("/desk/{handover_id}/typing", typing, Right.DESK),
    action("/desk/{handover_id}/finish", finish, Right.DESK),
    action("/desk/{handover_id}/teach", teach, Right.DESK),
)
