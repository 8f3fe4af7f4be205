"""A track in words: one set of columns and facts for the terminal and for markdown, so that both show the same.

Every text from here is one line without control characters. It may still hold what markdown or rich reads as markup:
escaping is up to whoever prints it.
"""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from harness.track import Track
from leaderboard.table import NOTHING, count
from leaderboard.text import plain

_RULES_CAP = 20_000  # characters of a paragraph

ANY = "any"  # nothing is asked


class Column(NamedTuple):
    """A column of the list of tracks: `show` gives the text of its cell."""

    heading: str
    align: Literal["left", "right"]
    show: Callable[[Track], str]


class Fact(NamedTuple):
    """A thing that a track fixes."""

    label: str
    words: str


def duration(seconds: float) -> str:
    """300 → "5 min": the largest unit of which it is a whole number."""
    for unit_s, unit in ((3600, "h"), (60, "min")):
        if seconds >= unit_s and seconds % unit_s == 0:
            return f"{seconds / unit_s:g} {unit}"
    return _seconds(seconds)


def title(track: Track) -> str:
    return plain(track.title, 200) or NOTHING


def paragraphs(track: Track) -> list[str]:
    """The rules, one line a paragraph."""
    lines = (plain(paragraph, _RULES_CAP) for paragraph in re.split(r"\n[ \t]*\n", track.rules))
    return [line for line in lines if line]


def facts(track: Track) -> list[Fact]:
    """Everything that a track's file fixes, besides its title and its rules."""
    limits, score = track.limits, track.score
    told = f"training {_seconds(limits.train_s)}"
    if (round_number := duration(limits.train_s)) != _seconds(limits.train_s):
        told += f" ({round_number})"
    found = [
        Fact("race", _race_in_full(track)),
        Fact("training on", f"{_visible(track)} of {plain(track.dataset, 60)}"),
        Fact("scored on", f"{_scored(track)}, in windows of at most {score.max_context:,} tokens"),
        Fact(
            "time",
            f"{told}, set-up {_seconds(limits.setup_s)}, loading {_seconds(limits.load_s)}, "
            f"scoring and twin {_seconds(limits.evaluation_s)} each",
        ),
        Fact("saving", f"free for {_seconds(limits.save_s)} and 1 s more for each 200 MB; what is beyond is training"),
        Fact("artifact", f"at most {limits.artifact_mib:,g} MiB"),
        Fact("hardware", _machine(track)),
    ]
    if (size := _parameters_in_full(track)) is not None:
        found.append(Fact("parameters", f"{size}, shared ones counted once"))
    if (declared := track.gates.declared_tokens_min) is not None:
        found.append(Fact("tokens", f"trained on at least {declared:,}, as the entry declares"))
    found.append(Fact("ranked by", _ranked_by(track)))
    found.append(Fact("new record", _record(track)))
    if track.downstream is not None:
        limit = track.downstream.limit
        many = "all documents" if limit is None else f"the first {limit:,} documents each"
        tasks = ", ".join(plain(task, 60) for task in track.downstream.tasks)
        found.append(Fact("beside it", f"{tasks} ({many}), by lm-eval after the verdict; never ranked"))
    found.append(Fact("version", str(track.version)))
    return found


def _seconds(seconds: float) -> str:
    return f"{seconds:,g} s"


def _nats(loss: float) -> str:
    """3.0 and 3.28 as they are spoken of."""
    return f"{loss:.1f}" if loss == round(loss, 1) else f"{loss:g}"


def _race(track: Track) -> str:
    return "lowest loss" if track.score.target_nats is None else f"fastest to {_nats(track.score.target_nats)}"


def _race_in_full(track: Track) -> str:
    if track.score.target_nats is None:
        return "lowest mean loss, in nats a token"
    return f"shortest training time with a mean loss of at most {_nats(track.score.target_nats)} nats a token"


def _granted(track: Track) -> str:
    resources = track.resources
    if resources.accelerator != "cpu":
        return f"{resources.count} × {plain(resources.accelerator, 60)}"
    threads = f"{resources.threads} CPU {'thread' if resources.threads == 1 else 'threads'}"
    return threads if resources.count == 1 else f"{resources.count} × {threads}"


def _machine(track: Track) -> str:
    resources = track.resources
    parts = [_granted(track)]
    if resources.accelerator_gib is not None:
        parts[0] += f" with {resources.accelerator_gib:g} GiB (± 10 %)"
    if resources.count > 1:
        parts.append(f"{resources.count} processes that train together")
    if resources.accelerator != "cpu":
        each = f" each, {resources.threads * resources.count} in all" if resources.count > 1 else ""
        parts.append(f"{resources.threads} CPU {'thread' if resources.threads == 1 else 'threads'}{each}")
    parts.append(f"{resources.memory_gib:g} GiB of memory")
    parts.append(f"{resources.scratch_mib:,} MiB of scratch")
    parts.append(f"at most {resources.processes:,} processes and threads")
    return ", ".join(parts)


def _visible(track: Track) -> str:
    if track.train_tokens is None:
        return "all training tokens"
    return f"the first {track.train_tokens:,} training tokens"


def _scored(track: Track) -> str:
    many = "all" if track.score.targets is None else f"the first {track.score.targets:,} predicted tokens"
    return f"{many} of {plain(track.score.split, 60)}"


def _parameters(track: Track) -> str:
    least, most = track.gates.parameters_min, track.gates.parameters_max
    if least is None and most is None:
        return ANY
    if least is None or most is None:
        return f"≤ {count(most)}" if most is not None else f"≥ {count(least or 0)}"
    return f"{count(least)} to {count(most)}"


def _parameters_in_full(track: Track) -> str | None:
    least, most = track.gates.parameters_min, track.gates.parameters_max
    if least is not None and most is not None:
        return f"{least:,} to {most:,}"
    if least is not None:
        return f"at least {least:,}"
    return f"at most {most:,}" if most is not None else None


def _ranked_by(track: Track) -> str:
    runs = track.ranking.runs
    means = "the means of training time and loss" if track.score.target_nats is not None else "the mean loss"
    return f"{means} over {runs} {'run' if runs == 1 else 'runs'} or more"


def _record(track: Track) -> str:
    ranking = track.ranking
    if track.score.target_nats is None:
        return f"lower by {ranking.least_gain_nats:g} nats a token or more, and beyond noise at p < {ranking.alpha:g}"
    return (
        f"faster by {ranking.least_gain_s:g} s or more, and beyond noise at p < {ranking.alpha:g}; "
        f"mean loss below the target at p < {ranking.alpha:g}"
    )


COLUMNS = (
    Column("Track", "left", lambda track: track.id),
    Column("Race", "left", _race),
    Column("Limit", "right", lambda track: duration(track.limits.train_s)),
    Column("Hardware", "left", _granted),
    Column("Data set", "left", lambda track: plain(track.dataset, 60)),
    Column("Parameters", "left", _parameters),
    Column("Runs", "right", lambda track: str(track.ranking.runs)),
)
