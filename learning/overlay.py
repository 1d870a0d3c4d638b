"""The published entries as the bot reads them: versioned, swapped whole, and never a reason to fail.

This module is the only part of the loop, with the encoder, that runs inside the Rasa server.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping

from sqlalchemy.exc import SQLAlchemyError

from learning.overlay_database import Mark, OverlayDatabase
from learning.overlay_entry import pack_vectors
from learning.overlay_intake import Intake
from learning.overlay_snapshot import CaptureRule, Nearest, OverlayEntry, OverlayMatch, OverlaySnapshot
from learning.overlay_table import OverlayTable, snapshot_of
from learning.vectors import Vectors
from learning.wordings import LiveExperiment

__all__ = [
    "CaptureRule",
    "Nearest",
    "OverlayEntry",
    "OverlayMatch",
    "OverlayReader",
    "OverlaySnapshot",
    "open_reader",
    "pack_vectors",
    "snapshot_of",
]

logger = logging.getLogger(__name__)

POLL_VARIABLE = "EVERGREEN_OVERLAY_POLL"  # seconds between two looks; 0 looks with every message
POLL_SECONDS = 0.2
FIRST_WAIT = 3.0  # seconds that the first message waits for the first reading; then the trained model answers alone
RETRY_SECONDS = 1.0  # while the database is away, it is not asked again and again
REPORT_SECONDS = 5.0  # until a report of broken entries is tried again
FORK_WAIT = 1.0  # seconds that a fork waits for a look to end
CLOSE_SECONDS = 5.0  # that the end of the process waits for a look to end


class OverlayReader:
    """Gives the newest snapshot.

    With `poll` seconds a thread looks for what is new and reads that alone; `snapshot()` then answers from memory, in a
    microsecond. Without, each call looks. While the database cannot be read, the last good snapshot stays live.

    Args:
        url: the learning database.
        encode: makes (n, d) unit vectors; used only for entries that another encoder's vectors came with.
        encoder_identity: the encoder whose vectors can be compared with the messages.
        clock: seconds that only grow.
        poll: seconds between two looks; 0 for a look with each call, and no thread.
        table: holds what was read.

    """

    def __init__(
        self,
        url: str,
        encode: Callable[[list[str]], Vectors],
        encoder_identity: str,
        clock: Callable[[], float] = time.monotonic,
        poll: float = 0.0,
        table: Callable[[], OverlayTable] = OverlayTable,
    ) -> None:
        self._url = url
        self._encode = encode
        self._identity = encoder_identity
        self._clock = clock
        self._poll = poll
        self._make_table = table
        self._snapshot = OverlaySnapshot()
        self._begin()
        _follow_process(self)

    def _begin(self) -> None:
        """Set up all that belongs to one process."""
        self._database: OverlayDatabase | None = None
        self._intake = Intake(self._make_table(), self._encode, self._identity)
        self._mark: Mark | None = None  # None: nothing was read yet
        self._is_torn = False  # a reading has ended half-way: what the table holds is nothing that was ever live
        self._experiments: tuple[LiveExperiment, ...] = ()
        self._refused: dict[str, str] = {}  # experiments and merges that cannot be followed
        self._reported: dict[str, str] | None = None
        self._report_at = 0.0
        self._retry_at = 0.0
        self._is_away = False
        self._lock = threading.Lock()  # of whoever looks
        self._starting = threading.Lock()
        self._holds = False
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._first = threading.Event()

    # --- what the bot asks ---------------------------------------------------------------------

    def snapshot(self) -> OverlaySnapshot:
        """Return what is live now; the last good snapshot when the database cannot be read."""
        if not self._poll:
            with self._lock:
                self._look()
                self._encode_waiting(math.inf)
                self._report()
        elif self._thread is None:
            self._start()
        return self._snapshot

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="overlay", daemon=True)
                self._thread.start()
        # After a fork there is a snapshot already.
        if not self._snapshot.version:
            self._first.wait(FIRST_WAIT)

    def close(self) -> None:
        """End the thread and close the database; what was read last stays."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSE_SECONDS)
        if self._database is not None and (thread is None or not thread.is_alive()):
            self._database.close()

    # --- looking -------------------------------------------------------------------------------

    def _run(self) -> None:
        """Look, again and again; between two looks, do what may wait."""
        while not self._stop.is_set():
            due = self._clock() + self._poll
            with self._lock:
                self._look()
                self._first.set()
                self._encode_waiting(due)
                self._report()
                self._index(due)
            self._stop.wait(max(0.0, due - self._clock()))

    def _index(self, until: float) -> None:
        try:
            if not self._is_torn and self._intake.table.index_some(until - self._clock()):
                self._snapshot = self._snapshot.with_rows(self._intake.table.rows())
        except Exception as error:  # an index is a matter of speed: one by one, rows are found as well
            logger.error("overlay: entries cannot be indexed (%s)", type(error).__name__)
            self._intake.table.stop_indexing()

    def _look(self) -> None:
        """Bring the snapshot up to date if there is something new; keep it if that fails, for whatever reason."""
        if self._clock() < self._retry_at:
            return
        try:
            if self._database is None:
                self._database = OverlayDatabase(self._url)
            mark = self._database.mark()
            if self._is_torn or self._mark is None or not mark.is_at(self._mark):
                self._read(self._database, mark)
            if self._is_away:
                self._is_away = False
                logger.warning("overlay: the learning database is back, at version %d", mark.version)
        except Exception as error:  # the bot must answer whatever stands in the database
            self._retry_at = self._clock() + RETRY_SECONDS
            if not self._is_away:
                self._is_away = True
                logger.warning(
                    "overlay: cannot read the learning database (%s); version %d stays live",
                    type(error).__name__,
                    self._snapshot.version,
                )

    def _read(self, database: OverlayDatabase, mark: Mark) -> None:
        # In another history (a backup was restored), any row may be another one.
        is_next = self._mark is not None and not self._is_torn and mark.follows(self._mark)
        since = self._mark.version if self._mark is not None and is_next else None
        self._is_torn = True
        with database.reading(since) as reading:
            self._intake.take(reading)
        if not reading.is_complete and reading.published != len(self._intake):
            # Somebody has written without telling what has changed.
            with database.reading(None) as reading:
                self._intake.take(reading)
        self._refused = dict(reading.refused)
        self._intake.table = self._intake.table.compacted()
        self._experiments = reading.experiments
        self._is_torn = False
        self._show(self._intake.table.snapshot(reading.mark.version, self._experiments))
        self._mark = reading.mark

    def _encode_waiting(self, until: float) -> None:
        """Make vectors for entries that lack them, as many as the time allows, and show these entries."""
        if not self._intake.waits or self._is_torn:
            return
        while self._intake.waits and self._clock() < until and not self._stop.is_set():
            self._intake.encode_some()
        self._show(self._intake.table.snapshot(self._snapshot.version, self._experiments))

    # --- showing -------------------------------------------------------------------------------

    def _show(self, snapshot: OverlaySnapshot) -> None:
        """Make a snapshot the one that messages see; what became of labels is worked out here, not with a message."""
        for entry_id in snapshot.changes.refused:
            logger.error(
                "overlay: entry %s merges labels in a circle and is left out; withdraw it or the merge before it",
                entry_id,
            )
            self._refused[entry_id] = "it merges labels in a circle"
        self._snapshot = snapshot

    def _report(self) -> None:
        """Tell the learning database which entries are left out, if it lets us; the bot goes on in any case."""
        broken = {**self._intake.broken, **self._refused}
        if broken == self._reported or self._is_away or self._database is None or self._clock() < self._report_at:
            return
        try:
            self._database.report(broken, self._reported)
            self._reported = broken
        except (SQLAlchemyError, ValueError, TypeError):
            self._reported = None
            self._report_at = self._clock() + REPORT_SECONDS

    # --- forks ---------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Wait until the thread is at rest: a child would inherit whatever it holds, for ever."""
        self._holds = self._lock.acquire(timeout=FORK_WAIT)

    def after_fork(self, is_child: bool) -> None:
        """Let the thread go on; a child begins anew, with its parent's memory but none of its threads and sockets."""
        if not is_child:
            if self._holds:
                self._lock.release()
            return
        database = self._database
        self._snapshot = self._snapshot.without_index()
        self._begin()
        if database is not None:
            database.leave_to_parent()


def open_reader(encode: Callable[[list[str]], Vectors], encoder_identity: str) -> OverlayReader:
    """Return a reader of the learning database that `learning.yml` and the environment name."""
    from learning.settings import load_settings

    return OverlayReader(load_settings().store.url, encode, encoder_identity, poll=_poll_seconds(os.environ))


def _poll_seconds(environ: Mapping[str, str]) -> float:
    try:
        seconds = float(environ.get(POLL_VARIABLE, POLL_SECONDS))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 3600:
        logger.warning("overlay: %s is no number of seconds; %s is used", POLL_VARIABLE, POLL_SECONDS)
        return POLL_SECONDS
    return seconds


_readers: weakref.WeakSet[OverlayReader] = weakref.WeakSet()
_follows_process = threading.Event()


def _follow_process(reader: OverlayReader) -> None:
    """Have a reader begin anew wherever this process is forked, and end before it ends."""
    _readers.add(reader)
    if not _follows_process.is_set():
        _follows_process.set()
        # A thread that is inside the encoder while the interpreter ends takes the process down with it.
        atexit.register(_with_all, OverlayReader.close)
        os.register_at_fork(
            before=lambda: _with_all(OverlayReader.before_fork),
            after_in_parent=lambda: _with_all(lambda reader: reader.after_fork(is_child=False)),
            after_in_child=lambda: _with_all(lambda reader: reader.after_fork(is_child=True)),
        )


def _with_all(step: Callable[[OverlayReader], None]) -> None:
    for reader in list(_readers):
        step(reader)
