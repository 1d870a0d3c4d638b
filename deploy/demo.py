"""`make demo`: the whole story with the running pieces, each step printed and checked.

It plays on a scratch copy of the project under var/demo/, with free ports, so that neither the state of
`make run` nor your branches are touched.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import orjson
import typer
import yaml

from deploy.messages import ANSWER, DEFAULT_DATA, Cast, choose
from deploy.stack import Ports, Stack, interrupt_on_terminate
from learning import pipeline
from learning.bootstrap import App
from learning.errors import EvergreenError
from learning.model import Action, Decision
from learning.settings import RetrainSettings, load_settings

LIVE_WITHIN = 1.0  # seconds from approval to the first right answer
GATE_BLOCKED = 3  # exit code of `learning retrain` when the new model is worse: an answer, not a failure
GROUPED_AT_LEAST = 8  # of the ten messages about the unknown thing
ABSORBED_FROM = 5  # examples of a label: the story has ten people, and a reviewer may drop some
SCRATCH = Path("var/demo")


class CheckFailed(EvergreenError):
    """A step of the demo did not do what it promises."""


@dataclass
class Story:
    """The demo's running stack and what it has measured so far."""

    stack: Stack
    app: App
    cast: Cast
    measured: dict[str, Any] = field(default_factory=dict)
    step: int = 0

    def title(self, text: str) -> None:
        """Print the heading of a step."""
        self.step += 1
        print(f"\n[{self.step}] {text}", flush=True)

    def check(self, holds: bool, what: str) -> None:
        """Print a checked promise; raise `CheckFailed` if it does not hold."""
        print(f"    {'ok  ' if holds else 'FAIL'} {what}", flush=True)
        if not holds:
            raise CheckFailed("did not hold", what, f"read the logs in {self.stack.state / 'log'}")

    def ask(self, sender: str, text: str) -> str:
        """Send a message through the REST channel and return the bot's answer."""
        response = httpx.post(
            f"{self.stack.bot_url}/webhooks/rest/webhook", json={"sender": sender, "message": text}, timeout=30
        )
        response.raise_for_status()
        return " / ".join(str(item.get("text", "")) for item in response.json())

    def understood(self, sender: str) -> dict[str, Any]:
        """Return how Rasa parsed the sender's last message."""
        response = httpx.get(
            f"{self.stack.bot_url}/conversations/{sender}/tracker", params={"token": self.stack.token}, timeout=30
        )
        response.raise_for_status()
        latest: dict[str, Any] = response.json()["latest_message"]
        return latest

    def learning(self, *arguments: str) -> Any:
        """Run `python -m learning ... --json` as a user would, and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "learning", *arguments, "--json"],
            cwd=self.stack.root,
            env=self.stack.environment(),
            capture_output=True,
            check=False,
        )
        if done.returncode not in (0, GATE_BLOCKED):
            raise CheckFailed(done.stderr.decode().strip(), f"learning {' '.join(arguments)}", "see above")
        return orjson.loads(done.stdout)


def talk(story: Story) -> None:
    """Fifty people say one thing each."""
    cast = story.cast
    messages = [*cast.unknown, *cast.others]
    story.title(f"{len(messages)} people talk to the bot ({cast.source})")
    for number, text in enumerate(messages):
        answer = story.ask(f"customer-{number}", text)
        if number < 2 or number in (len(cast.unknown), len(messages) - 1):
            print(f"    customer: {text}\n    bot:      {answer}")
    order = story.ask("customer-order", "where is order 10342?")
    print(f"    customer: where is order 10342?\n    bot:      {order}")
    story.check("10342" in order, "the shop's true status of order 10342 is in the answer")


def mine(story: Story) -> str:
    """Mining finds the gap; return the id of its proposal."""
    story.title("mining finds what failed")
    report = story.learning("mine")
    print(
        f"    {report['events']} events, {report['new_signals']} signals, {report['new_gaps']} gaps,"
        f" {report['new_proposals']} proposals"
    )
    store = story.app.loop.store
    wanted = set(story.cast.unknown)
    redacted = {story.app.loop.redactor.redact(text) for text in wanted}
    turns_of = {gap_id: store.turns_of_gap(gap_id) for gap_id in store.gaps()}
    best = max(turns_of, key=lambda gap: sum(turn.text in redacted for turn in turns_of[gap]), default="")
    members = turns_of.get(best, [])
    grouped = sum(turn.text in redacted for turn in members)
    story.measured.update(grouped=grouped, strangers=len(members) - grouped)
    proposals = [item for item in store.proposals() if item.gap_id == best]
    story.check(
        grouped >= GROUPED_AT_LEAST,
        f"{grouped} of {len(wanted)} messages about the unknown thing are one gap"
        f" ({len(members) - grouped} strangers in it)",
    )
    story.check(bool(proposals), "it has a proposal")
    chosen = proposals[0]
    print(f"    proposal {chosen.proposal_id[:8]}: {chosen.label}, score {chosen.score}, {chosen.people} people")
    again = story.learning("mine")
    story.check(
        again["new_signals"] == again["new_gaps"] == again["new_proposals"] == 0, "mining again creates nothing new"
    )
    return chosen.proposal_id


def approve(story: Story, proposal_id: str) -> None:
    """A reviewer approves an answer; the next paraphrase is answered at once, by the same model."""
    story.title("a reviewer approves an answer: live without retraining")
    model = story.app.server.running_model()
    before = _checksum(model)
    first, *more = story.cast.unseen
    print(f"    a paraphrase that nobody has sent yet: {first}")
    loop = story.app.loop
    decision = Decision(proposal_id, Action.EDIT, "demo", datetime.now(timezone.utc), answer=ANSWER)
    release = pipeline.review(loop, decision)
    start = time.monotonic()  # it is released: what the bot takes to see it is what counts
    # A running bot looks for what is new five times a second; who asks before that is told what was live until then.
    answer, asked = story.ask("paraphrase-0-0", first), 1
    while answer != ANSWER and time.monotonic() - start < LIVE_WITHIN:
        answer = story.ask(f"paraphrase-0-{asked}", first)
        asked += 1
    seconds = time.monotonic() - start
    story.measured["live_seconds"] = round(seconds, 3)
    print(f"    bot:      {answer}")
    story.check(answer == ANSWER, "the approved answer is given")
    story.check(seconds < LIVE_WITHIN, f"{1000 * seconds:.0f} ms after approval (limit {1000 * LIVE_WITHIN:.0f} ms)")
    story.check(_checksum(model) == before and story.app.server.running_model() == model, "the model is unchanged")
    hits = 1 + sum(story.ask(f"paraphrase-{number}", text) == ANSWER for number, text in enumerate(more, start=1))
    story.measured["paraphrases_live"] = f"{hits}/{len(story.cast.unseen)}"
    print(f"    {hits} of {len(story.cast.unseen)} unseen paraphrases are answered by the overlay")
    commit = pipeline.write_branch(loop)
    shown = _git(story.stack.root, "show", "--stat", "--format=%h %s", str(commit))
    print("    " + shown.replace("\n", "\n    "))
    story.check(release is not None and commit is not None, f"branch {story.app.settings.review.branch} has the change")


def retrain(story: Story) -> None:
    """Retrain under traffic; the model takes the answer over."""
    story.title("gated retraining, with customers talking meanwhile")
    usual = RetrainSettings().absorb_examples
    print(f"    (here {ABSORBED_FROM} examples of a label are enough to be absorbed, to show it; usually {usual})")
    with _traffic(story) as traffic:
        report = story.learning("retrain")
    comparison = report["comparison"]
    print(f"    {comparison['reason']}")
    story.measured.update(
        champion=comparison["champion"]["correct"],
        challenger=comparison["challenger"]["correct"],
        holdout=comparison["challenger"]["total"],
        traffic_sent=traffic.sent,
        traffic_failed=traffic.failed,
    )
    story.check(report["model"] is not None, "the gate lets the new model pass")
    story.check(traffic.sent > 0 and traffic.failed == 0, f"{traffic.sent} messages during it, {traffic.failed} failed")
    labels = [entry["label"] for entry in report["absorbed"]]
    story.check(len(labels) == 1, f"the overlay entry is absorbed: {', '.join(labels) or 'none'}")
    hits = 0
    for number, text in enumerate(story.cast.unseen):
        sender = f"after-{number}"
        answer = story.ask(sender, text)
        by_overlay = bool(story.understood(sender).get("overlay"))
        hits += answer == ANSWER and not by_overlay
        if number == 0:
            print(f"    customer: {text}\n    bot:      {answer}")
            story.check(answer == ANSWER and not by_overlay, "it is still answered, now by the model itself")
    story.measured["paraphrases_model"] = f"{hits}/{len(story.cast.unseen)}"
    print(f"    {hits} of {len(story.cast.unseen)} unseen paraphrases are answered by the model")


@dataclass
class Traffic:
    """Messages sent while something else happens."""

    sent: int = 0
    failed: int = 0


@contextmanager
def _traffic(story: Story) -> Iterator[Traffic]:
    traffic, stop = Traffic(), threading.Event()

    def send() -> None:
        while not stop.wait(0.2):
            traffic.sent += 1
            try:
                traffic.failed += not story.ask(f"traffic-{traffic.sent}", "what are your opening hours?")
            except httpx.HTTPError:
                traffic.failed += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield traffic
    finally:
        stop.set()
        thread.join()


def scratch_copy(root: Path, folder: Path, prepare: Callable[[Path], None] = lambda target: None) -> Path:
    """Copy what git would commit, with the models, into a repository of its own under `folder`.

    `prepare` may change the copy before it is committed.
    """
    target = root / folder / "project"
    shutil.rmtree(target, ignore_errors=True)
    listed = _git(root, "ls-files", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.splitlines()):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    for trained in ("models", ".rasa"):
        if (root / trained).is_dir():
            shutil.copytree(root / trained, target / trained)
    (target / "var").mkdir(exist_ok=True)
    prepare(target)
    _git(target, "init", "--quiet")
    _git(target, "add", "--all")
    _git(target, "-c", "user.name=Demo", "-c", "user.email=demo@localhost", "commit", "--quiet", "-m", "The project")
    return target


def _absorb_early(project: Path) -> None:
    """Let ten people's examples be absorbed: a story of a few minutes has no more, and should show the step."""
    path = project / "learning.yml"
    content = yaml.safe_load(path.read_text("utf-8"))
    content["retrain"]["absorb_examples"] = ABSORBED_FROM
    path.write_text(yaml.safe_dump(content), "utf-8")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckFailed(done.stderr.strip(), f"git {arguments[0]}", f"run it in {folder}")
    return done.stdout.strip()


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    data: Path = typer.Option(DEFAULT_DATA, help="BANKING77's test.csv; without it the project's own messages serve."),
    seed: int = typer.Option(0, help="Which of its messages are drawn."),
    report: Path = typer.Option(None, help="Write what was measured as JSON."),
) -> None:
    """Play the story: talk, fail, learn, answer."""
    interrupt_on_terminate()
    root = Path.cwd()
    started = time.monotonic()
    try:
        cast = choose(root, data, seed)
        project = scratch_copy(root, SCRATCH, _absorb_early)
        stack = Stack(project, Ports.free(), say=lambda line: print(f"    {line}", flush=True))
        os.environ.update(stack.environment())
        story = Story(stack, App(load_settings(project)), cast)
        story.title(f"everything starts (scratch copy in {project})")
        try:
            stack.train_if_needed()
            stack.start()
            talk(story)
            proposal_id = mine(story)
            approve(story, proposal_id)
            retrain(story)
            story.title("where things stand")
            status = [sys.executable, "-m", "learning", "status"]
            subprocess.run(status, cwd=project, env=stack.environment(), check=True)
        finally:
            stack.stop()
    except EvergreenError as error:
        sys.stderr.write(f"error: {error}\n")
        raise typer.Exit(1) from None
    story.measured["seconds"] = round(time.monotonic() - started)
    if report:
        report.write_bytes(orjson.dumps(story.measured, option=orjson.OPT_INDENT_2))
    print(f"\nThe demo held all its promises in {story.measured['seconds']} s: {story.measured}")


if __name__ == "__main__":
    app()
