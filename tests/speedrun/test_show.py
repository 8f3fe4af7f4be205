"""`speedrun show`: where the time went, and what the model says."""

import io

import msgspec
import pytest
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from harness.result import Sample, Samples, Times
from speedrun import phases, samples_page
from tests.fuzzing import STYLING, fuzz, strangers, unsafe

MARKS = {"set-up": "░", "training": "█", "saving": "▄", "loading": "▒", "scoring": "▓", "twin": "▚", "the rest": "·"}


def samples(*pairs: tuple[str, str]) -> Samples:
    items = tuple(Sample(prompt=prompt, text=text) for prompt, text in pairs)
    return Samples(seed=7, temperature=0.8, items=items)


def page(value: Samples, width: int, colour: str | None = None) -> str:
    out = io.StringIO()
    samples_page.show(value, Console(file=out, width=width, force_terminal=True, color_system=colour, highlight=False))
    return out.getvalue()


def test_the_phases_are_one_bar_that_needs_no_colour():
    times = Times(setup_s=10.0, train_s=60.0, save_s=0.01, load_s=5.0, score_s=15.0, twin_s=5.0, total_s=100.0)
    found = phases.parts(times)
    assert {part.name: part.mark for part in found} == MARKS
    bar = phases.bar(found, 60).plain
    assert len(bar) == 60
    assert list(dict.fromkeys(bar)) == list(MARKS.values())  # in order, none lost
    assert bar.count("█") == 36
    assert bar.count("▄") == 1  # which it has not earned: it is taken from the one that can spare it
    words = [line.plain for line in phases.legend(found, times.total_s, 60)]
    assert max(map(cell_len, words)) <= 60
    assert "█ training 60.00 s (60%)" in " ".join(words)
    assert "· the rest 4.99 s (5%)" in " ".join(words)


def test_a_run_that_ended_early_shows_what_it_reached():
    found = phases.parts(Times(setup_s=2.0, total_s=8.0))
    assert [part.name for part in found] == ["set-up", "the rest"]
    assert phases.bar(found, 40).plain == "░" * 10 + "·" * 30
    assert phases.bar(phases.parts(Times()), 40).plain == ""


amounts_s = st.one_of(st.none(), st.floats(-1e308, 1e308), st.just(5e-324))


def test_whatever_a_record_says_the_bar_has_its_width():
    def check(numbers):
        setup_s, train_s, twin_s, total_s, columns = numbers
        found = phases.parts(Times(setup_s=setup_s, train_s=train_s, twin_s=twin_s, total_s=total_s))
        whole = min(max(columns, phases.LEAST_COLUMNS), phases.MOST_COLUMNS)
        assert len(phases.bar(found, columns).plain) in (0, whole)
        assert len(phases.legend(found, total_s, columns)) <= len(found)

    fuzz(200, st.tuples(amounts_s, amounts_s, amounts_s, st.floats(-1e308, 1e308), st.integers(1, 300)), check)


@pytest.mark.parametrize("width", [60, 100])
def test_samples_are_wrapped_bounded_and_told_apart(width):
    told = samples(
        ("Once upon a time\nthere was", " a fox. " + "It ran and ran. " * 8 + "\n\n\n\nThe end."),
        ("Tom", " had\n" + "one more line\n" * 40),
    )
    lines = page(told, width).splitlines()
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    assert "never scored" in text.replace("\n", " ")
    assert "  │ Once upon a time\n  │ there was▸ a fox. It ran" in text
    assert "\n  │ \n  │ The end.\n" in text  # of several empty lines one
    assert "  │ Tom▸ had\n  │ one more line\n" in text
    assert lines[-1] == "  │ … and 33 more lines"
    assert text.count("one more line") == samples_page.MOST_LINES - 1


def test_the_prompt_is_dim_and_what_the_model_says_is_not():
    text = page(samples(("Once upon", " a time")), 80, "standard")
    assert "\x1b[2mOnce upon\x1b[0m" in text
    assert "\x1b[2m a time" not in text


def test_whatever_a_model_says_is_words():
    def check(pairs):
        text = page(samples(*pairs), 60, "truecolor")
        assert not unsafe(text)
        assert len(STYLING.sub("", text).splitlines()) <= 3 + len(pairs) * (samples_page.MOST_LINES + 2)

    fuzz(100, st.lists(st.tuples(strangers, strangers), min_size=1, max_size=3), check)


def test_show_has_all_of_it(speedrun, stored, make_record):
    record = make_record(entry="mine", samples=samples(("Once", " upon")))
    stored(record)
    said = speedrun("show", "last")
    assert (said.code, said.err) == (0, "")
    assert "where the time went\n" in said.out
    assert "█ training 7.50 s (58%)" in said.out
    assert "  │ Once▸ upon\n" in said.out
    older = msgspec.structs.replace(record, run_id=record.run_id[:-1] + "f", samples=None)
    stored(older)
    assert "what the model says" not in speedrun("show", older.run_id).out
