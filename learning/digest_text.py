"""A digest as a message: plain text and HTML for mail, short Markdown for chats."""

from __future__ import annotations

from collections.abc import Iterator

from learning.alert_records import Message
from learning.alert_words import MOST_TOLD, safe_what
from learning.digest import Digest, days_words
from learning.message_page import render

CHAT_GAPS = 3  # what a chat shows of each list; the hub has the rest
CHAT_NUMBERS = 4


def digest_message(digest: Digest, hub_url: str) -> Message:
    """Return a digest in every form; `hub_url` is the hub as readers reach it."""
    days = days_words(digest.since, digest.until)
    title = f"Evergreen: {days}"
    content = {"title": title, "days": days, "digest": digest, "hub_url": hub_url}
    html = render("digest.html.j2", **content, safe_what=safe_what, most=MOST_TOLD)
    if digest.is_quiet:
        line = digest.headline
        return Message(title, line + "\n", html, line)
    text = "\n".join(_plain(digest, days, hub_url)) + "\n"
    return Message(title, text, html, "\n".join(_markdown(digest, hub_url)))


def _plain(digest: Digest, days: str, hub_url: str) -> Iterator[str]:
    yield f"Evergreen, {days} (UTC)"
    yield ""
    yield digest.headline
    yield f"The hub: {hub_url}/"
    if digest.alerts:
        yield from ("", "OPEN ALERTS")
        for alert in digest.alerts[:MOST_TOLD]:
            yield f"- {alert.severity.value}: {alert.title}. {safe_what(alert)}"
            yield f"  Do: {alert.next_step}"
            yield f"  {hub_url}{alert.link}"
        if len(digest.alerts) > MOST_TOLD:
            yield f"- and {len(digest.alerts) - MOST_TOLD} more: {hub_url}/status"
    yield from ("", "NUMBERS, beside the same number of days before")
    for number in digest.numbers:
        interval = f" ({number.interval})" if number.interval else ""
        yield f"- {number.name}: {number.value}{interval}; before {number.before}; {number.change}"
        yield f"  {hub_url}{number.link}"
    if digest.saved:
        yield f"- Saved: {digest.saved}"
        yield f"  {hub_url}/metrics"
    yield from ("", f"WHAT IS MISSING ({len(digest.gaps)} of {digest.gaps_in_all} open gaps)")
    for gap in digest.gaps:
        score = f"proposal with score {gap.score}" if gap.score is not None else "no proposal yet"
        back = ", came back" if gap.is_back else ""
        yield f"- {gap.priority}: {gap.name}: {gap.people} people, {gap.week} in the last week{back}; {score}"
        yield f"  {hub_url}{gap.link}"
    if not digest.gaps:
        yield "- nothing that is known"
    yield from ("", f"WHAT WAS CHANGED ({digest.fixed_in_all} releases)")
    for one in digest.fixed:
        yield f"- release {one.number}, {one.at:%Y-%m-%d}: {one.what}"
        yield f"  {hub_url}{one.link}"
    if digest.effects:
        yield from ("", "WHAT CAME OF FORMER RELEASES")
        for effect in digest.effects:
            yield f"- release {effect.number}, {effect.label}: {' '.join((effect.said, *effect.more))}"
            yield f"  {hub_url}{effect.link}"
    yield from ("", "WHAT WAITS FOR PEOPLE")
    queue = digest.queue
    oldest = f", the oldest since {queue.oldest:%Y-%m-%d}" if queue.oldest else ""
    yield f"- {queue.pending} proposals{oldest}; {queue.second} second readings"
    decided = f" after {queue.waited} (median)" if queue.waited else ""
    yield f"- {queue.decided} were decided{decided}"
    yield f"  {hub_url}/"
    yield from ("", "THE MODEL", *_model(digest))
    yield f"  {hub_url}/retraining"


def _model(digest: Digest) -> Iterator[str]:
    model = digest.model
    since = f", since {model.since:%Y-%m-%d}" if model.since else ""
    yield f"- {model.name or 'not known yet'}{since}"
    if model.holdout:
        yield f"- understands {model.holdout} of the hold-out"
    if model.checked:
        yield f"- understood {model.checked}"


def _markdown(digest: Digest, hub_url: str) -> Iterator[str]:
    yield f"{digest.headline} [Open the hub]({hub_url}/)"
    for alert in digest.alerts[:CHAT_GAPS]:
        yield f"- **{alert.severity.value}**: [{alert.title}]({hub_url}{alert.link})"
    for number in digest.numbers[1:CHAT_NUMBERS]:
        yield f"- {number.name}: {number.value}, before {number.before} ({number.change})"
    for gap in digest.gaps[:CHAT_GAPS]:
        yield f"- {gap.priority} gap: [{gap.name}]({hub_url}{gap.link}), {gap.people} people"
    for effect in digest.effects[:1]:
        yield f"- [Release {effect.number}]({hub_url}{effect.link}): {effect.said}"
    yield f"- {digest.queue.pending} proposals [wait for a decision]({hub_url}/)"
