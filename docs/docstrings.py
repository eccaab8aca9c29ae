"""What docstrings have of reStructuredText, as Markdown: tables as they stand, roles as code.

An extension of griffe, which reads the docstrings for the API page without importing anything.
"""

from __future__ import annotations

import re

import griffe

TABLE = re.compile(r"^=+(?: +=+)+\n(?:.*\n)*?=+(?: +=+)+\n(?:(?:.*\n)*?=+(?: +=+)+(?:\n|$))?", re.M)
ROLE = re.compile(r":(?:func|class|mod|meth|attr):`~?([^`]+)`")


def markdown(text: str) -> str:
    """A docstring whose tables are blocks of fixed width."""
    text = TABLE.sub(lambda found: f"```text\n{found[0].rstrip()}\n```\n", text + "\n").rstrip()
    return ROLE.sub(r"`\1`", text)


class Docstrings(griffe.Extension):
    """Rewrites every docstring as it is read."""

    def on_instance(self, *, obj, **kwargs):
        """Of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
