"""All Rasa servers of a bot: each swap reaches them one after the other, or none."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from learning.adapters.rasa_server import RasaServer, ServerAway
from learning.errors import BotServerError
from learning.model import ServerState

logger = logging.getLogger(__name__)


class RasaServers:
    """Asks and tells the Rasa servers that share one folder of models; the first is asked first.

    While one loads a model the others answer. A server that is away at a swap is brought in line when it is back
    (`align`).
    """

    def __init__(self, servers: Sequence[RasaServer]) -> None:
        self._servers = tuple(servers)

    def running_model(self) -> Path:
        """Return the path of the model that the first server runs which answers.

        Raises:
            BotServerError: none answers, or the one that does refuses the token or has no model.

        """
        away: BotServerError | None = None
        for server in self._servers:
            try:
                return server.running_model()
            except ServerAway as error:
                away = away or error
        assert away is not None
        raise away

    def states(self) -> tuple[ServerState, ...]:
        """Return which model each server runs; those that do not answer are among them."""
        return tuple(_state(server) for server in self._servers)

    def load_model(self, model: Path) -> None:
        """Swap the running model on all servers, one after the other, each until it answers with the new one.

        If one cannot, those that were swapped before it load again what they ran. Those that do not answer before the
        first swap are left out.

        Raises:
            BotServerError: none answers, or one could not load it; the message says which, and what all of them run.

        """
        ran = self._reached()
        done: list[tuple[RasaServer, Path]] = []
        for server, before in ran:
            done.append((server, before))
            try:
                server.load_model(model)
            except BotServerError as error:
                left = self._go_back(done, model)
                if len(self._servers) == 1 and not left:
                    raise
                told = f"could not be swapped everywhere ({error.item}: {error.what})"
                now = f"; {', '.join(left)} may still run it: look there" if left else ""
                step = f"all servers that answer run again what they ran before{now}; {error.next_step}"
                raise BotServerError(told, f"model {model.name}", step) from error

    def align(self, model: Path) -> tuple[str, ...]:
        """Have the servers that run another model load this one; return their addresses. Who is away is left alone.

        Raises:
            BotServerError: one could not load it, after the others were asked, too.

        """
        changed: list[str] = []
        failed: BotServerError | None = None
        for server in self._servers:
            state = _state(server)
            if state.model in ("", model.name):
                continue
            try:
                server.load_model(model)
                changed.append(server.address)
            except BotServerError as error:
                failed = error
        if failed is not None:
            raise failed
        return tuple(changed)

    def _reached(self) -> list[tuple[RasaServer, Path]]:
        """Return the servers that answer, each with the model that it runs."""
        found: list[tuple[RasaServer, Path]] = []
        away: ServerAway | None = None
        for server in self._servers:
            try:
                found.append((server, server.running_model()))
            except ServerAway as error:
                away = error
                if len(self._servers) > 1:
                    logger.warning("%s is left out of the swap and brought in line later: %s", server.address, error)
        if not found and away is not None:
            raise away
        return found

    def _go_back(self, done: Sequence[tuple[RasaServer, Path]], model: Path) -> list[str]:
        """Have servers run what they ran before; return the addresses of those that may run the new model still."""
        left: list[str] = []
        for server, before in reversed(done):
            state = _state(server)
            if state.model not in ("", model.name):
                continue  # it refused, and runs what it ran
            try:
                server.load_model(before)
            except ServerAway:
                continue  # when it is back it takes the newest file, and is brought in line
            except BotServerError as error:
                logger.error("%s could not go back to %s: %s", server.address, before.name, error)
                left.append(server.address)
        return left


def _state(server: RasaServer) -> ServerState:
    try:
        return ServerState(server.address, server.running_model().name)
    except BotServerError as error:
        return ServerState(server.address, "", str(error))
