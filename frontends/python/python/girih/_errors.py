"""The one kind of error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Error(Exception):
    """What is wrong, where, why, and what to do.

    `str()` gives all of it, as the command line prints it. docs/errors.md describes each code.

    Attributes:
        code: a letter and three digits.
        message: one sentence.
        labels: source positions as (file, line, column, text); the first is the primary one.
        notes: facts behind it.
        help: what to do, or None.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        labels: Sequence[tuple[str, int, int, str]] = (),
        notes: Sequence[str] = (),
        help: str | None = None,
        rendered: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.labels = list(labels)
        self.notes = list(notes)
        self.help = help
        self._rendered = rendered

    def __str__(self) -> str:
        if self._rendered is not None:
            return self._rendered
        lines = [f"error[{self.code}]: {self.message}"]
        lines += [f"  --> {file}:{line}:{column}: {text}" for file, line, column, text in self.labels]
        lines += [f"  = note: {note}" for note in self.notes]
        if self.help is not None:
            lines.append(f"  = help: {self.help}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """All of it as what JSON has, with the keys that `girih --json` uses; `text` is what `str()` gives."""
        keys = ("file", "line", "column", "text")
        return {
            "code": self.code,
            "message": self.message,
            "labels": [dict(zip(keys, label)) for label in self.labels],
            "notes": list(self.notes),
            "help": self.help,
            "text": str(self),
        }

    def __reduce__(self):
        parts = {"labels": self.labels, "notes": self.notes, "help": self.help, "rendered": self._rendered}
        return (_rebuild, (type(self), self.code, self.message, parts))


def _rebuild(kind: type[Error], code: str, message: str, parts: dict) -> Error:
    return kind(code, message, **parts)
