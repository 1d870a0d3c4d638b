"""The `learning.yml` of an attached project: only what differs from the defaults, and why."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from learning.attach_names import Roles
from learning.attach_survey import Survey


def settings_file(project: Survey, roles: Roles, holdout: str) -> str:
    """Return the settings for a project, with the names that were found in it."""
    return f"""\
# Settings of the learning loop. What does not stand here has its default; docs/settings.md of Evergreen has them all.

project:
  domain: {_written(project.domain)}
  config: {_written(project.config)}
  data: {_written(project.data)}
  endpoints: {_written(project.endpoints or "endpoints.yml")}
  models: models
  holdout: {_written(holdout)}  # labelled messages that are never trained on; the retraining gate reads them
  knowledge: {_written(f"{project.data}/knowledge")}  # articles (Markdown) for drafting answers; may be missing

store:
  url: sqlite:///var/learning.db  # or postgresql://user@host/name

bot:
  url: http://127.0.0.1:5005  # Rasa's HTTP API: `rasa run --enable-api`

conversations:  # found by their names and by what follows them: correct what is not so
  person_intents: {_listed(roles.person_intents)}  # who asks for a person
  closing_intents: {_listed(roles.closing_intents)}  # who says so and leaves was not left without an answer
  affirm_intents: {_listed(roles.affirm_intents)}
  handoff_actions: {_listed(roles.handoff_actions)}  # actions that hand over to a person
"""


def _listed(names: Sequence[str]) -> str:
    return f"[{', '.join(map(_written, names))}]"


def _written(text: str) -> str:
    """Return a text as YAML that says nothing else: an intent may be called `yes`, and a folder `bot #2`."""
    return yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=10_000).strip()[1:-1]
