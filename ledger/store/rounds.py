"""When the writer looks for a block: from time to time, or at once where somebody asks the store. No IO, for threads.

A round is one look, with the block that it stores. Whoever asks waits for a round that begins afterwards, so that
what was in the journal is in the answer: not for a writer that fails, and not for longer than it says.
"""

import threading


class Rounds:
    """One thread takes them, others ask for one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._begun = 0
        self._over = 0
        self._is_asked = False
        self._fails = False
        self.is_stopped = False

    def stop(self) -> None:
        """There is none after the one that has begun."""
        with self._changed:
            self.is_stopped = True
            self._changed.notify_all()

    def pause(self, most_s: float) -> None:
        """So long at most: until one is asked for, if the last one has not failed."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_stopped or (self._is_asked and not self._fails), most_s)

    def begin(self) -> bool:
        """Whether somebody has asked for it."""
        with self._changed:
            is_asked, self._is_asked = self._is_asked, False
            self._begun += 1
            return is_asked

    def end(self, *, fails: bool = False) -> None:
        """It is over."""
        with self._changed:
            self._over, self._fails = self._begun, fails
            self._changed.notify_all()

    def ask(self) -> None:
        """Have the next one soon."""
        with self._changed:
            self._is_asked = True
            self._changed.notify_all()

    def wait_for_one(self, most_s: float) -> None:
        """Ask for one and wait until it is over, so long at most; for none once one has failed."""
        with self._changed:
            if self._fails or self.is_stopped:
                return
            due = self._begun + 1
            self._is_asked = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._over >= due or self._fails or self.is_stopped, most_s)
