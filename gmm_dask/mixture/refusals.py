"""What this package refuses on purpose: all else that is raised is a fault, of it or underneath it.

A refusal is one sentence that says what is wrong, where, and what to do; on the command line that
sentence is all that is shown.
"""

from __future__ import annotations


class Refusal(ValueError):  # noqa: N818  nothing went wrong but what was given
    """What was given cannot be meant, or cannot be used."""


class NotInstalledError(ImportError):
    """What was asked for needs a package that is not here."""
