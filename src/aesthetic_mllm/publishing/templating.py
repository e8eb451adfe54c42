"""The templates of the package, and how text from files gets into them without being taken for markup."""

import re

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

_MARKUP = re.compile(r"([\\`*\[\]<>|])")


def environment() -> Environment:
    """Templates in `publishing/templates`; HTML is escaped by itself, Markdown by the filter `plain`.

    A name that a template asks for and nobody gave is an error.
    """
    made = Environment(
        loader=PackageLoader(__package__),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["plain"] = markdown_text
    return made


def markdown_text(value: object) -> str:
    """Text that Markdown shows as it is, on one line, in a table too."""
    return _MARKUP.sub(r"\\\1", " ".join(str(value).split()))
