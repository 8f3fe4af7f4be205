"""The judgement of a pull request as one page of markdown: for CI's summary, for a comment, and for a terminal.

Nearly every word on it is a stranger's. As markdown they are written as leaderboard.render writes them; on a terminal
only what could drive it is taken out. What the entry printed stands in a block of code, every line behind a bar: a
line of its own that begins with `::`, or holds `##[`, would be a command to GitHub's runner, which reads this output.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from harness.result import Author, Entry, Verdict
from leaderboard.render import escape
from leaderboard.text import plain
from speedrun.answers import JudgedChange, Trial
from speedrun.proposed_records import ProposedRecord
from speedrun.pull_request import SUBMISSIONS, FileChange, Likeness

LINE = 600  # characters
LOG_LINE = 200

_HARMLESS = re.compile(r"[A-Za-z0-9_./-]+")
_REFERENCE = re.compile(r"(?i)&#64;|&#35;|\bgh-(?=[0-9])")  # @ and #, as escape writes them

Words = Callable[[str], str]


def markdown(value: JudgedChange) -> str:
    """The page, safe to be put where markdown is read; ends with a newline."""
    return _page(value, _unlinked)


def show(value: JudgedChange, console: Console) -> None:
    """The page on standard output: as markdown, or with plain words where somebody reads it on a terminal."""
    text = _page(value, str) if console.is_terminal else markdown(value)
    console.print(Text(text), soft_wrap=True, end="")


def _page(value: JudgedChange, words: Words) -> str:
    def line(text: str) -> str:
        return words(plain(text, LINE))

    blocks = [
        [_headline(value, line)],
        [f"Base {_code(value.base[:12], line)}, head {_code(value.head[:12], line)}."],
        list(_refusals(value, line)),
        [f"- {line(remark)}" for remark in value.remarks],
        list(_entry(value, line)),
        list(_files(value.files, line)),
        list(_records(value.records, line)),
        list(_trial(value, line)),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _unlinked(text: str) -> str:
    """`text` as markdown that shows just this text and, in a comment, calls nobody and links no issue.

    GitHub looks for @name, #1 and GH-1 when character references have become characters again, so that a character
    without width stands between; files of a repository, which render.escape is for, it leaves alone.
    """
    return _REFERENCE.sub(r"\g<0>&#8203;", escape(text))


def _headline(value: JudgedChange, line: Words) -> str:
    name = f": {line(value.entry)}" if value.entry and _HARMLESS.fullmatch(value.entry) else ""
    if value.accepted:
        return f"## ✓ accepted{name}" + ("" if value.trial is not None else " (without a trial run)")
    return f"## ✗ refused{name}"


def _refusals(value: JudgedChange, line: Words) -> Iterator[str]:
    for refused in value.refusals:
        place = f"{_code(refused.path, line)}: " if refused.path else ""
        yield f"- ✗ {place}{line(refused.reason)}"
    if value.refusals_left_out:
        yield f"- ✗ and {value.refusals_left_out:,} more"


def _entry(value: JudgedChange, line: Words) -> Iterator[str]:
    if value.entry is None:
        return
    yield "### The entry"
    yield ""
    state = "new" if value.is_new else "edited" if value.files else "as the base has it"
    yield f"- folder: {_code(f'{SUBMISSIONS}/{value.entry}', line)} ({state})"
    if value.card is not None:
        yield from _card(value.card, line)
    if value.likeness is not None:
        yield f"- likeness: {_likeness(value.likeness, line)}"


def _card(card: Entry, line: Words) -> Iterator[str]:
    yield f"- title: {line(card.title)}"
    yield f"- authors: {', '.join(_author(author, line) for author in card.authors)}"
    yield f"- technique: {line(card.technique)}"
    if card.based_on is not None:
        yield f"- based on: {_code(card.based_on, line)}"


def _author(author: Author, line: Words) -> str:
    return line(f"{author.name} ({author.link})" if author.link else author.name)


def _likeness(likeness: Likeness, line: Words) -> str:
    return (
        f"{likeness.share:.0%} of its code is that of {_code(likeness.entry, line)} "
        f"(of the template: {likeness.template_share:.0%})"
    )


def _files(files: Sequence[FileChange], line: Words) -> Iterator[str]:
    if not files:
        return
    yield from _table(
        ("file", "", "lines"),
        ((_code(file.path, line), file.done, f"+{file.lines_added:,} −{file.lines_removed:,}") for file in files),
    )


def _records(records: Sequence[ProposedRecord], line: Words) -> Iterator[str]:
    if not records:
        return
    yield "### Its new records"
    yield ""
    yield from _table(
        ("run", "track", "verdict", "loss", "training", "ranked", "vouched for by"),
        (
            (
                _code(record.run_id, line),
                _code(record.track, line),
                record.verdict.value,
                _number(record.loss_nats, "nats/token", 4),
                _number(record.train_s, "s", 2),
                "yes" if record.ranked else "no",
                line(record.signed_by) if record.signed_by else "the contestant",
            )
            for record in records
        ),
    )


def _trial(value: JudgedChange, line: Words) -> Iterator[str]:
    if value.trial is None:
        yield f"No trial run: {line(value.no_trial_because)}."
        return
    trial = value.trial
    yield f"### A trial run on {_code(trial.track, line)}"
    yield ""
    told = [
        "✓ ok" if trial.verdict is Verdict.OK else f"✗ {trial.verdict.value}",
        f"loss {_number(trial.loss_nats, 'nats/token', 4)}",
        f"training {_number(trial.train_s, 's', 2)}",
        f"in all {trial.total_s:.1f} s",
        f"sandbox {trial.level.value}",
    ]
    yield " · ".join(told)
    if trial.verdict is not Verdict.OK:
        yield ""
        yield from _printed(trial)


def _printed(trial: Trial) -> Iterator[str]:
    for text in [*trial.reason.split("\n")[:20], *trial.log]:
        yield "    │ " + plain(text, LOG_LINE).replace("##[", "## [")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cells)} |"


def _number(value: float | None, unit: str, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f} {unit}"


def _code(text: str, line: Words) -> str:
    """A name in letters that mean nothing to markdown; any other as words."""
    return f"`{text}`" if len(text) <= LINE and _HARMLESS.fullmatch(text) else line(text)
