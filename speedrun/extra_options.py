"""`--d-model 512`: options that no command knows are fields of the entry's Config."""

from collections.abc import Collection, Sequence

from harness.errors import UserError, nearest
from leaderboard.text import plain


def as_pairs(extra: Sequence[str], fields: Collection[str] | None, options: Collection[str]) -> list[str]:
    """What the command line did not understand, as `field=value` texts.

    Args:
        extra: e.g. ["--d-model", "512", "--n-layers=8"].
        fields: names of the fields of Config; None where the source does not tell them, and any name passes.
        options: the command's own options, e.g. "--no-wait", to tell a slip from a field.

    Raises:
        UserError: an option that is neither, one without a value, or a word that belongs to none.
    """
    pairs: list[str] = []
    words = list(extra)
    while words:
        word = words.pop(0)
        if not word.startswith("--") or len(word) == 2:
            raise UserError(f"{plain(word, 60)!r} belongs to no option; the command takes one entry, then options")
        option, equals, value = word.partition("=")
        field = option[2:].replace("-", "_")
        if fields is not None and field not in fields:
            known = {*options, *(f"--{name.replace('_', '-')}" for name in fields)}
            raise UserError(f"no option and no config field {plain(option, 60)}: {nearest(option, known)}")
        if not equals:
            if not words or words[0].startswith("--"):
                raise UserError(f"{plain(option, 60)} needs a value, such as {plain(option, 60)} 1")
            value = words.pop(0)
        pairs.append(f"{field}={value}")
    return pairs
