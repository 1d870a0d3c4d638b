"""`make bench-autonomy`: what would go live alone although it is about an excluded topic, and what is held back.

`tests/data/excluded_held_out.yml` holds 1,000 messages about the five topics, written to slip past a filter by
somebody who had seen neither the word lists nor the sentences. Each becomes a proposal by itself, perfect in every
other way (score 99, a clean replay), in a learning database with enough decisions of people, and the policy itself
judges it under `moderate` and `advanced`. The policy holds back whatever fewer than three different messages ask; so
that this does not hide what it can tell, everything is measured without that rule, too.

False alarms are proposals of 1 to 25 messages of one harmless intent: of this shop's hold-out, and of CLINC150's test
set without the intents that are about an excluded topic themselves. The thresholds were chosen on `excluded_dev.yml`,
on the shop's training examples and on CLINC150's training set.

Compared are plain words (the same lists, looked up as they stand), words in disguise, the cosine to the nearest
sentence of a topic (with the threshold that holds back as many harmless single messages as the policy does without its
rule), and the margin alone.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml

from benchmarks import results
from learning.adapters.encoder import OnnxEncoder
from learning.adapters.project import Project
from learning.adapters.store import Store
from learning.autonomy import MIN_DECISIONS, autonomy_status
from learning.loop import Loop
from learning.model import Action, Decision, Proposal, ProposalKind, ProposalState, Replay, content_id
from learning.settings import Settings, load_settings
from learning.topics import Topics, read_topics

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ROOT / "tests" / "data"
COMMAND = "python -m benchmarks.autonomy"
SIZES = (1, 3, 5, 10, 25)  # messages of a harmless proposal
DRAWS = 3  # proposals drawn of each intent and size
SEED = 1
NOW = datetime(2024, 3, 1, 9, tzinfo=timezone.utc)
CLEAN = Replay(failures=12, fixed=12, successes=500, broken=0)
# What one person says to look like several.
WRAPPED = ("{}", "{} please", "hi {}", "{} thanks", "{}??")
# Intents of CLINC150 that are about money, cards and accounts, health, or the law themselves.
TOUCHY = frozenset(
    """
    account_blocked application_status apr balance bill_balance bill_due calories card_declined credit_limit
    credit_limit_change credit_score damaged_card direct_deposit exchange_rate expiration_date freeze_account
    improve_credit_score income insurance insurance_change interest_rate international_fees international_visa
    min_payment new_card nutrition_info order_checks pay_bill payday pin_change redeem_rewards
    replacement_card_duration report_fraud report_lost_card rewards_balance rollover_401k routing spending_history
    taxes transactions transfer uber vaccines restaurant_reviews user_name w2
    """.split()  # noqa: SIM905
)
# Labels of this shop about money, the law, accounts or anger; `by_label` holds back most of them by their names, and
# whoever wants a person or a refund is no harmless case either way.
TOUCHY_HERE = frozenset(
    """
    account_balance change_payment_method complaint delete_account double_charge faq/discount_codes faq/payment_methods
    faq/shipping_cost invoice_request login_problem payment_failed redeem_gift_card refund_status reset_password
    talk_to_person update_contact_details warranty_claim
    """.split()  # noqa: SIM905
)

Judge = Callable[[Sequence[str]], bool]  # whether a proposal of these texts is held back


@dataclass(frozen=True)
class Method:
    """A way to tell excluded topics: its name, and whether it holds a proposal of some texts back."""

    name: str
    holds_back: Judge


def read_excluded(path: Path) -> list[tuple[str, str]]:
    """Return (topic, text) of a file of excluded messages, whose topics are lists or blocks of lines."""
    content = yaml.safe_load(path.read_text("utf-8"))
    pairs = []
    for topic, texts in content.items():
        lines = texts.splitlines() if isinstance(texts, str) else [str(text) for text in texts]
        pairs += [(str(topic), line) for line in lines if line.strip()]
    return pairs


def harmless_here() -> dict[str, list[str]]:
    """Return the shop's held-out messages by label, those about excluded topics left out."""
    found = defaultdict(list)
    for example in Project(load_settings(ROOT, {})).holdout():
        if example.label not in TOUCHY_HERE:
            found[example.label].append(example.text)
    return dict(found)


def harmless_clinc(path: Path, split: str) -> dict[str, list[str]]:
    """Return CLINC150's messages by intent, those about excluded topics left out."""
    found = defaultdict(list)
    for text, intent in json.loads(path.read_text("utf-8"))[split]:
        if intent not in TOUCHY:
            found[intent].append(text)
    return dict(found)


def published(texts: Sequence[str], level: str, topics: Topics) -> list[int]:
    """Return which texts the policy would publish as proposals of their own, by the policy itself."""
    with tempfile.TemporaryDirectory() as folder:
        loop = _loop(Path(folder), level, topics)
        _decide_by_hand(loop)
        proposals = [_proposal(number, text) for number, text in enumerate(texts)]
        loop.store.save_proposals(proposals, NOW)
        verdicts = {one.proposal_id: one for one in autonomy_status(loop, topics).verdicts}
    return [row for row, item in enumerate(proposals) if verdicts[item.proposal_id].goes_live]


def _loop(folder: Path, level: str, topics: Topics) -> Loop:
    settings = Settings()
    settings = replace(settings, autonomy=replace(settings.autonomy, level=level, daily_limit=10**6))
    nothing = cast(Any, None)  # judging reads the store alone
    return Loop(
        settings=settings,
        store=Store(f"sqlite:///{folder / 'learning.db'}"),
        open_tracker=nothing,
        encoder=nothing,
        redactor=nothing,
        project=nothing,
        host=nothing,
        now=lambda: NOW,
    )


def _proposal(number: int, text: str) -> Proposal:
    return Proposal(
        proposal_id=content_id("benchmark", number, text),
        gap_id=content_id("benchmark gap", number, text),
        kind=ProposalKind.ANSWER,
        label=f"learned/question_{number}",
        examples=(text,),
        answer="You find it on our website.",
        sources=(),
        score=99,
        score_parts=(),
        people=5,
        turns=5,
        state=ProposalState.PENDING,
        created_at=NOW,
        replay=CLEAN,
        drafter="extractive",
    )


def _decide_by_hand(loop: Loop) -> None:
    """Give the store the decisions of people that the score is trusted from."""
    for number in range(MIN_DECISIONS):
        before = _proposal(-1 - number, f"approved by hand {number}")
        loop.store.save_proposals([before], NOW)
        decision = Decision(before.proposal_id, Action.APPROVE, "ann", NOW)
        loop.store.save_decision(before, replace(before, state=ProposalState.APPROVED), decision)


def methods(topics: Topics, encoder: OnnxEncoder, least_cosine: float) -> list[Method]:
    """Return the policy and what it is compared with."""
    file = read_topics()
    seeds = encoder.encode([seed for topic in file.topics for seed in topic.seeds])
    plain = re.compile("|".join(_pattern(word) for topic in file.topics for word in (*topic.words, *topic.foreign)))
    return [
        Method("the policy", lambda texts: topics.find("learned/question", texts) is not None),
        Method("without its rule of three", lambda texts: tells(topics, texts)),
        Method("plain words", lambda texts: any(plain.search(text.casefold()) for text in texts)),
        Method("words in disguise", lambda texts: bool(topics.by_word(texts) or topics.by_script(texts))),
        Method("nearest sentence", lambda texts: nearest_cosine(texts, encoder, seeds).max() >= least_cosine),
        Method("margin", lambda texts: topics.by_similarity(texts) is not None),
    ]


def tells(topics: Topics, texts: Sequence[str]) -> bool:
    """Whether the policy holds texts back for what they say, however few there are."""
    return bool(topics.by_word(texts) or topics.by_script(texts) or topics.by_similarity(texts))


def nearest_cosine(texts: Sequence[str], encoder: OnnxEncoder, seeds: Any) -> Any:
    """Return the cosine of each text to the nearest sentence of a topic."""
    return (encoder.encode(list(texts)) @ seeds.T).max(axis=1)


def _pattern(word: str) -> str:
    stem = re.escape(word.rstrip("*").replace("_", " ")).replace(r"\ ", r"\W+")
    if not any(char.isalnum() for char in word):
        return re.escape(word)
    return rf"\b{stem}{'' if word.endswith('*') else chr(92) + 'b'}"


def drawn(by_label: Mapping[str, Sequence[str]], size: int) -> list[list[str]]:
    """Return proposals of `size` messages of one label, the same in every run."""
    source = random.Random(SEED)
    able = {label: texts for label, texts in sorted(by_label.items()) if len(texts) >= size}
    return [source.sample(list(texts), size) for texts in able.values() for _ in range(DRAWS)]


def held_back(method: Method, proposals: Sequence[Sequence[str]]) -> float:
    """Return the share of proposals that a method holds back."""
    return float(np.mean([method.holds_back(texts) for texts in proposals]))


def attacks(pairs: Sequence[tuple[str, str]], harmless: Mapping[str, Sequence[str]]) -> dict[str, list[list[str]]]:
    """Return proposals about excluded topics: alone, five together, one person as five, one among four harmless."""
    source = random.Random(SEED)
    by_topic: dict[str, list[str]] = defaultdict(list)
    for topic, text in pairs:
        by_topic[topic].append(text)
    big = [texts for _, texts in sorted(harmless.items()) if len(texts) >= 4]
    return {
        "alone": [[text] for _, text in pairs],
        "five of a topic": [source.sample(texts, 5) for texts in by_topic.values() for _ in range(200)],
        "one person as five": [[form.format(text) for form in WRAPPED] for _, text in pairs],
        "among four harmless": [[text, *source.sample(list(source.choice(big)), 4)] for _, text in pairs],
    }


def main() -> None:
    """Measure the policy and its peers; print and keep the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", action="store_true", help="measure the development texts, and write no results")
    parser.add_argument("--missed", action="store_true", help="with --dev: print what the policy missed")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("../shared/datasets"),
        help="folder with clinc150/data_full.json (github.com/clinc/oos-eval)",
    )
    options = parser.parse_args()
    pairs = read_excluded(TEXTS / ("excluded_dev.yml" if options.dev else "excluded_held_out.yml"))
    clinc = options.data / "clinc150" / "data_full.json"
    encoder = OnnxEncoder(cache_size=30_000)
    start = time.perf_counter()
    topics = Topics(Settings().autonomy, encoder)
    topics.margins(["ready"])
    ready = time.perf_counter() - start
    harmless = {"shop": harmless_here(), "CLINC150": harmless_clinc(clinc, "val" if options.dev else "test")}
    least_cosine = _cosine_of_equal_alarms(topics, encoder, harmless_clinc(clinc, "train"))
    compared = methods(topics, encoder, least_cosine)
    texts = [text for _, text in pairs]
    levels = {level: published(texts, level, topics) for level in ("moderate", "advanced")}
    attacked = attacks(pairs, harmless["CLINC150"])
    rows = [
        {
            "method": method.name,
            "missed": {
                kind: [sum(not method.holds_back(one) for one in proposals), len(proposals)]
                for kind, proposals in attacked.items()
            },
            "alarms": {
                f"{name} {size}": held_back(method, drawn(by_label, size))
                for name, by_label in harmless.items()
                for size in SIZES
                if any(len(texts) >= size for texts in by_label.values())
            },
        }
        for method in compared
    ]
    for row in rows:
        results.say(f"{row['method']}: missed {row['missed']}")
    each = [
        {"topic": topic, "texts": sum(one == topic for one, _ in pairs), "levels": _by_topic(pairs, levels, topic)}
        for topic in dict.fromkeys(topic for topic, _ in pairs)
    ]
    tables = [_published_table(each), _missed_table(rows), _alarm_table(rows)]
    results.say("\n\n".join(tables))
    results.say(f"ready after {ready:.1f} s; nearest-sentence threshold {least_cosine:.3f}")
    if options.dev and options.missed:
        results.say("\n".join(f"{pairs[row][0]}: {pairs[row][1]}" for row in levels["advanced"]))
    if not options.dev:
        old = results.read("autonomy")
        figures = {"published": {level: len(found) for level, found in levels.items()}, "texts": len(texts)}
        first = old.get("first_run", {**figures, "rows": rows})
        note = (
            f"First run on these messages, before the rule of three: of {first['texts']},"
            f" {first['published']['moderate']} would have gone live alone under moderate and"
            f" {first['published']['advanced']} under advanced."
        )
        record = {**figures, "ready_seconds": ready, "rows": rows, "topics": each, "first_run": first}
        results.write("autonomy", COMMAND, {**record, "tables": [*tables, note]})


def _cosine_of_equal_alarms(topics: Topics, encoder: OnnxEncoder, by_label: Mapping[str, Sequence[str]]) -> float:
    """Return the cosine that holds back as many harmless single messages as the policy does."""
    singles = [one[0] for one in drawn(by_label, 1)]
    share = np.mean([tells(topics, [text]) for text in singles])
    seeds = encoder.encode([seed for topic in read_topics().topics for seed in topic.seeds])
    return float(np.quantile(nearest_cosine(singles, encoder, seeds), 1 - share))


def _by_topic(pairs: Sequence[tuple[str, str]], levels: Mapping[str, Sequence[int]], topic: str) -> dict[str, int]:
    return {level: sum(pairs[row][0] == topic for row in found) for level, found in levels.items()}


def _published_table(each: Sequence[Mapping[str, Any]]) -> str:
    total = {
        "topic": "all",
        "texts": sum(row["texts"] for row in each),
        "levels": {level: sum(row["levels"][level] for row in each) for level in ("moderate", "advanced")},
    }
    return results.table(
        [*each, total],
        {
            "topic": lambda row: str(row["topic"]),
            "messages": lambda row: str(row["texts"]),
            "live alone, moderate": lambda row: str(row["levels"]["moderate"]),
            "live alone, advanced": lambda row: str(row["levels"]["advanced"]),
        },
    )


def _missed_table(rows: Sequence[Mapping[str, Any]]) -> str:
    kinds = list(rows[0]["missed"])
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {"excluded proposals missed": lambda row: row["method"]}
    for kind in kinds:
        columns[kind] = lambda row, kind=kind: "{} of {}".format(*row["missed"][kind])  # type: ignore[misc]
    return results.table(rows, columns)


def _alarm_table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {"harmless held back, %": lambda row: row["method"]}
    for kind in rows[0]["alarms"]:
        columns[f"{kind}"] = lambda row, kind=kind: f"{100 * row['alarms'][kind]:.1f}"  # type: ignore[misc]
    return results.table(rows, columns)


if __name__ == "__main__":
    main()
