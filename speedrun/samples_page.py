"""What a model says when it is asked to go on: the prompt dim, what the model made of it bright."""

from rich.console import Console
from rich.text import Text

from harness.protocol import printable
from harness.result import Sample, Samples

INDENT = "  │ "
MOST_LINES = 8  # of a sample
MOST_COLUMNS = 96  # what is easy to read
MOST_CHARACTERS = 2_000  # of a prompt or a continuation, as many as the harness keeps
GOES_ON = "▸"  # between the prompt and what the model says, for where there is no colour


def show(samples: Samples, console: Console) -> None:
    """Every sample in a block of its own."""
    heading = Text("what the model says", style="bold")
    how = f" (after {GOES_ON}; temperature {samples.temperature:g}, seed {samples.seed}; never scored)"
    console.print()
    console.print(heading.append(how, style="not bold"))
    for number, sample in enumerate(samples.items):
        if number:
            console.print()
        for line in _lines(sample, console):
            console.print(Text(INDENT, style="dim").append_text(line), soft_wrap=True)


def _lines(sample: Sample, console: Console) -> list[Text]:
    """The sample, wrapped; its own newlines stay, empty lines but one in a row do not."""
    prompt, said = (printable(text, MOST_CHARACTERS).expandtabs(4) for text in (sample.prompt, sample.text))
    text = Text.assemble((prompt, "dim"), (GOES_ON, "cyan"), (said.rstrip(), "default"))
    width = max(20, min(console.width, MOST_COLUMNS) - len(INDENT))
    lines = [line for part in text.split("\n", allow_blank=True) for line in _wrapped(part, width, console)]
    kept = [
        line for number, line in enumerate(lines) if line.plain.strip() or (number and lines[number - 1].plain.strip())
    ]
    left_out = len(kept) - MOST_LINES
    if left_out <= 0:
        return kept
    return [*kept[:MOST_LINES], Text(f"… and {left_out} more {'line' if left_out == 1 else 'lines'}", style="dim")]


def _wrapped(part: Text, width: int, console: Console) -> list[Text]:
    return list(part.wrap(console, width)) if part.plain else [part]
