"""From a page's values to HTML: Jinja2, which escapes everything that no template calls safe.

Safe are the JSON of figures and of `run-data` alone, which hold no character that could end a script element, and what
leaderboard/site/markup.py made. Templates are compiled anew by every build that makes a page, which takes some tens of
milliseconds: what Jinja2 would keep of them in a file is code that the next build runs, and a folder of caches is no
place for that.
"""

from pathlib import Path


class Templates:
    """The templates in a folder, each compiled when it is first used."""

    def __init__(self, folder: Path) -> None:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # a tenth of a second

        from leaderboard.site import markup

        self._environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self._environment.filters.update({part.__name__: part for part in markup.PARTS})

    def render(self, template: str, page: object) -> bytes:
        """`template` is a file's name; it sees the values as `page`."""
        # A lone surrogate, which JSON can hold, is no text: it becomes a question mark.
        return self._environment.get_template(template).render(page=page).encode(errors="replace")
