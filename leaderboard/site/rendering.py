"""From a page's values to HTML: Jinja2, which escapes everything that no template calls safe.

Safe are the JSON of figures and of `run-data` alone, which hold no character that could end a script element.
"""

from pathlib import Path


class Templates:
    """The templates in a folder, each compiled when it is first used."""

    def __init__(self, folder: Path) -> None:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # a tenth of a second

        self._environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )

    def render(self, template: str, page: object) -> bytes:
        """`template` is a file's name; it sees the values as `page`."""
        # A lone surrogate, which JSON can hold, is no text: it becomes a question mark.
        return self._environment.get_template(template).render(page=page).encode(errors="replace")
