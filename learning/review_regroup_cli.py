"""The command line for what does not belong together, or does: `split`, `merge` and `move-example` of the review."""

from __future__ import annotations

from typing import Optional

import typer
from rich.markup import escape

from learning import console, pipeline
from learning.bootstrap import utc_now
from learning.errors import ReviewError
from learning.review_options import AS_JSON, ID, WHO, app_of, print_proposal


def split(
    ctx: typer.Context,
    proposal: str = ID,
    example: Optional[list[str]] = typer.Option(
        None,
        show_default=False,
        help="A message that belongs to another need, as shown; repeat it. What is nearest goes with it.",
    ),
    auto: bool = typer.Option(False, "--auto", help="Divide them where they differ most."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Divide the messages of a proposal in two: one part becomes a gap with a proposal of its own."""
    if bool(example) == auto:
        raise ReviewError("names nothing, or too much", "`review split`", "give messages with --example, or --auto")
    stays, leaves = pipeline.split(app_of(ctx).loop, proposal, example or (), who or console.user(), utc_now())
    if json:
        console.print_json({"stays": stays, "leaves": leaves})
        return
    print_proposal(stays)
    if leaves is None:
        console.out.print("What left holds too little for a proposal of its own; `gaps list` shows it.")
    else:
        print_proposal(leaves, "  new")


def merge(
    ctx: typer.Context,
    proposals: list[str] = typer.Argument(
        ..., show_default=False, help="Ids, or their first characters; the first one stays."
    ),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Make one of several proposals about the same need: the messages of all go to the first one."""
    kept = pipeline.merge(app_of(ctx).loop, proposals, who or console.user(), utc_now())
    if json:
        console.print_json(kept)
    else:
        print_proposal(kept)


def move_example(
    ctx: typer.Context,
    proposal: str = ID,
    example: str = typer.Option(..., show_default=False, help="The example, as shown."),
    to: str = typer.Option(
        ..., show_default=False, help="The label that it belongs to, such as track_order or faq/shipping_cost."
    ),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Take an example out of a proposal and propose it for a label that the bot has."""
    target = pipeline.move_example(app_of(ctx).loop, proposal, example, to, who or console.user(), utc_now())
    if json:
        console.print_json(target)
    else:
        print_proposal(target, f"  has it now; approve it to teach {escape(to)}")
