"""What a panel of the web page must do: a page of its own for some runs, with actions that the server calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

Action = Callable[[dict[str, Any]], Any]
"""Function of a request's JSON object; returns a JSON object, the bytes of an image, or a generator of one of them.

Images of the request, PNG data URLs, arrive as PIL images in mode RGB, and PIL images of the result become such URLs.
A generator yields None between parts of long work, where it is stopped once nobody waits any more, and the result last.
"""


class Panel(Protocol):
    """Page for some runs next to "translate" in `i2i serve`, such as a gallery of generated images.

    The server makes one object for each run that `accepts` takes, at its start, from the loaded run alone. Requests
    carry all that an action needs, so that two users never see each other's state.

    Attributes:
        title: name of the link to the panel.
        folder: the package folder with `index.html`, scripts and styles, which is served at `panels/NAME/RUN/`. Pages
            load nothing from other hosts; `../../../panel.js` and `../../../panel.css` are what the server's pages
            share.
        actions: functions by name, which `POST panels/NAME/RUN/ACTION` calls in the worker thread. They check what they
            are given, and raise `I2IError` where a request is wrong.
    """

    title: str
    folder: Path

    @property
    def actions(self) -> Mapping[str, Action]: ...

    @classmethod
    def accepts(cls, model: Any) -> bool:
        """Return whether a loaded run (`i2i.Loaded`) has this panel."""
