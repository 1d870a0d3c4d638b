"""`make run`: everything on one machine until Ctrl-C."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import typer

from deploy.stack import Ports, Stack, interrupt_on_terminate
from learning.errors import EvergreenError

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    free_ports: bool = typer.Option(False, "--free-ports", help="Use any free ports, not the usual ones."),
) -> None:
    """Train if needed, start every part, print the addresses, and stop all of it on Ctrl-C."""
    interrupt_on_terminate()
    stack = Stack(Path.cwd(), Ports.free() if free_ports else Ports(), say=lambda line: print(line, flush=True))
    try:
        stack.train_if_needed()
        stack.start()
        print(_addresses(stack), flush=True)
        while True:
            stack.check()
            time.sleep(1.0)
    except KeyboardInterrupt:
        print("stopping", flush=True)
    except EvergreenError as error:
        sys.stderr.write(f"error: {error}\n")
        raise typer.Exit(1) from None
    finally:
        stack.stop()


def _addresses(stack: Stack) -> str:
    return f"""
Evergreen is up.
  chat      {stack.bot_url}/webhooks/webchat/
  widget    {stack.bot_url}/webhooks/webchat/demo/  (on a shop's page)
  hub       {stack.hub_url}/  (demo login: demo / {stack.demo_password})
  shop      {stack.shop_url}/openapi.json
  bot       {stack.bot_url}/webhooks/rest/webhook  (REST channel)
  logs      {stack.state / "log"}
Rasa's HTTP API wants the token in EVERGREEN_BOT_TOKEN; for `python -m learning ...` in another terminal:
  export EVERGREEN_BOT_TOKEN={stack.token} EVERGREEN_BOT_URL={stack.bot_url}
  export EVERGREEN_ACTIONS_URL={stack.actions_url} EVERGREEN_HUB_URL={stack.hub_url}
Ctrl-C stops everything."""


if __name__ == "__main__":
    app()
