"""What the plots of the site hold. What a browser makes of it is in tests/browser."""

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.result import Author, Tier, Verdict
from leaderboard.history import Evidence, History, Step
from leaderboard.published import Published, Result
from leaderboard.ranking import TrackRules, rank
from leaderboard.site.drawing import markup
from leaderboard.site.plots import FEW_DAYS, ROWS_DRAWN, progression, spread

RULES = {
    "cpu-smoke": TrackRules(version=1, runs=1, alpha=0.01, least_gain=0.005),
    "race": TrackRules(version=1, runs=1, alpha=0.01, least_gain=1.0),
}
RACE = {"track_id": "race", "objective": "fastest-to-loss", "target_nats": 3.28, "limit_s": 600.0}
HOSTILE = "</script><b>x</b> &amp; <a href='javascript:alert(1)'>y</a> %{meta.role} $x^2$ \u2028\u202e"


def parsed(figure):
    """What the page's script reads; it has to be safe inside a script element, and every x as long as its y."""
    assert not re.search(r"[<>&\u2028\u2029]", figure.json)
    drawing = json.loads(figure.json)
    for axis in drawing["axes"]["x"]:
        assert [len(values) for values in axis["values"]] == [len(trace["y"]) for trace in drawing["traces"]]
    assert drawing["axes"]["x"]
    assert not re.search(r'"(color|font|bgcolor)":', figure.json)
    assert not any("x" in trace for trace in drawing["traces"])
    return drawing


def traces(figure, role):
    return [trace for trace in parsed(figure)["traces"] if trace["meta"]["role"] == role]


@pytest.fixture(scope="session")
def make_step(make_summary):
    def make(measure, since="2026-11-21", kind="record", number=1, entry="mine", **fields):
        run = make_summary(entry=entry)
        return Step(
            kind=kind,
            number=number,
            entry=entry,
            title="A title",
            authors=fields.pop("authors", (Author(name="Ada"),)),
            technique=fields.pop("technique", "a plain transformer"),
            source_sha256=run.source.sha256,
            overrides=(),
            torch="2.13.0",
            tier=Tier.VERIFIED,
            measure=measure,
            measure_sd=0.01,
            loss_nats=1.5,
            train_s=7.5,
            run_ids=(run.run_id,),
            losses_nats=(1.5,),
            times_s=(7.5,),
            since=since,
            last_run=since,
            evidence=Evidence(words="it stands"),
        )

    return make


@pytest.fixture(scope="session")
def make_history(make_summary):
    def make(*steps, claims=(), hardware="Test CPU", **fields):
        run = make_summary(**fields)
        return History(
            track=run.track,
            dataset=run.dataset,
            hardware=hardware,
            current_version=True,
            marks=(),
            steps=steps,
            claims=tuple(claims),
        )

    return make


def elsewhere(*results, track="race"):
    return Published(track=track, source="another project", read_on="2026-11-20", results=results)


def result(number, train_s, date="2026-01-02", **fields):
    return Result(
        **{"number": number, "kind": "record", "date": date, "train_s": train_s, "technique": "Muon"}
        | {"authors": ("@somebody",)}
        | fields
    )


def test_records_are_steps_and_what_stands_beside_them_points(make_history, make_step):
    history = make_history(
        make_step(1.5, "2026-11-01", entry="first"),
        make_step(1.51, "2026-11-02", kind="re-timing", entry="first"),
        make_step(1.3, "2026-11-03", kind="retracted", number=None, entry="gone"),
        make_step(1.25, "2026-11-04", number=2, entry="second", technique="a better one"),
        claims=[make_step(1.2, "2026-11-05", kind="claim", number=None, entry="hopeful")],
    )
    figure = progression([history], None)
    records, retimed, retracted = traces(figure, "ours")
    assert records["mode"] == "lines+markers"
    assert records["line"] == {"shape": "hv"}
    assert records["y"] == [1.5, 1.25]
    assert [retimed["mode"], retimed["y"]] == ["markers", [1.51]]
    assert [retracted["mode"], retracted["y"]] == ["markers", [1.3]]
    (claims,) = traces(figure, "claim")
    assert claims["y"] == [1.2]
    (axis,) = parsed(figure)["axes"]["x"]
    assert axis["values"] == [["2026-11-01", "2026-11-04"], ["2026-11-02"], ["2026-11-03"], ["2026-11-05"]]
    assert records["customdata"][1] == (
        "<b>second</b> · record 2<br>1.2500 ± 0.0100 nats a token · 2026-11-04<br>Ada<br>a better one"
    )
    assert figure.label == (
        "Records over time: 2 records on Test CPU from 1.5000 to 1.2500 nats a token, the last by second on 2026-11-04."
    )


def test_the_first_record_stands_in_the_middle_of_two_weeks(make_history, make_step):
    layout = parsed(progression([make_history(make_step(1.5, "2026-11-21"))], None))["layout"]
    assert layout["xaxis"]["range"] == ["2026-11-14", "2026-11-28"]
    assert layout["yaxis"]["range"] == pytest.approx([1.35, 1.65])
    long = make_history(make_step(1.5, "2026-11-01"), make_step(1.4, "2026-11-15"))
    layout = parsed(progression([long], None))["layout"]
    assert "range" not in layout["xaxis"] | layout["yaxis"]
    first, last = ("0001-01-01", "9999-12-31")  # of a stranger
    assert all(
        "range" not in parsed(progression([make_history(make_step(1.5, day))], None))["layout"]["xaxis"]
        for day in (first, last)
    )
    assert FEW_DAYS.days == 14


def test_places_are_told_apart_and_other_measures_are_left_out(make_history, make_step):
    one = make_history(make_step(100.0), hardware="8 × H100", version=2, **RACE)
    other = make_history(make_step(200.0), hardware="8 × A100", version=2, **RACE)
    lowest = make_history(make_step(1.5), track_id="race", version=1)
    figure = progression([lowest, one, other], None)
    ours = traces(figure, "ours")
    assert [trace["y"] for trace in ours] == [[100.0], [200.0]]
    assert [trace["name"] for trace in ours] == ["records, 8 × H100", "records, 8 × A100"]
    assert [trace["meta"]["series"] for trace in ours] == [0, 1]
    assert parsed(figure)["layout"]["showlegend"]


@pytest.mark.parametrize(("last", "helps"), [(21.0, False), (19.0, True)])
def test_a_logarithmic_scale_is_offered_where_it_helps(make_history, make_step, last, helps):
    history = make_history(make_step(100.0), make_step(last, number=2), **RACE)
    assert parsed(progression([history], None))["layout"]["meta"] == {"log": helps}


def test_results_of_others_are_a_series_that_says_so(make_history, make_step):
    published = elsewhere(result(1, 300.0), result(1, 301.0, kind="re-timing"), result(2, 200.0, date=None))
    figure = progression([make_history(make_step(100.0), **RACE)], published)
    records, retimed = traces(figure, "elsewhere")
    assert (records["y"], retimed["y"]) == ([300.0], [301.0])
    assert records["name"] == "measured elsewhere, not by this harness"
    assert "measured elsewhere" in records["customdata"][0]
    assert "1 more without a date are not drawn" in figure.label
    alone = progression([], published)
    assert traces(alone, "ours") == []
    assert "Training time (s)" in alone.json


def test_a_race_for_the_lowest_loss_shows_the_losses_of_others(make_history, make_step):
    published = elsewhere(result(1, 300.0, loss_nats=3.2), result(2, 200.0))
    figure = progression([make_history(make_step(3.0))], published)
    assert [trace["y"] for trace in traces(figure, "elsewhere")] == [[3.2]]


def test_what_stands_alone_is_named_unless_it_is_records(make_history, make_step):
    claim = make_step(1.2, kind="claim", number=None)
    gone = make_step(1.3, kind="retracted", number=None)

    def named(*histories, published=None):
        return parsed(progression(histories, published))["layout"]["showlegend"]

    assert not named(make_history(make_step(1.5), make_step(1.4, number=2)))
    assert named(make_history(claims=[claim]))
    assert named(make_history(gone))
    assert named(published=elsewhere(result(1, 300.0), result(2, 200.0)))
    assert named(make_history(make_step(1.5), claims=[claim]))


def test_nothing_to_draw_is_no_figure(make_history, make_step):
    assert progression([], None) is None
    assert progression([make_history()], None) is None
    assert progression([make_history(make_step(math.nan), make_step(math.inf))], None) is None


def test_every_run_stands_in_the_row_of_its_entry(make_summary):
    runs = [
        *(make_summary(entry="better", source="b", loss_nats=loss) for loss in (1.2, 1.22)),
        *(make_summary(entry="worse", source="w", loss_nats=loss) for loss in (1.4, 1.5)),
        make_summary(entry="failed", source="f", verdict=Verdict.CRASHED),
        make_summary(entry="better", source="b2", loss_nats=1.3),
    ]
    (section,) = rank(runs, RULES).sections
    figure = spread(section)
    drawing = parsed(figure)
    ours, means = traces(figure, "ours")
    (axis,) = drawing["axes"]["x"]
    assert dict(zip(axis["values"][0], ours["y"], strict=True)) == {1.2: 0, 1.22: 0, 1.4: 1, 1.5: 1}
    assert dict(zip(axis["values"][1], means["y"], strict=True)) == {1.21: 0, 1.45: 1}
    names = drawing["layout"]["yaxis"]["ticktext"]
    assert names[1] == "worse"
    assert re.fullmatch(r"better · [0-9a-f]{6}", names[0])  # told apart from its other variant
    below, _ = traces(figure, "below")
    assert below["y"] == [2]
    named = [trace["name"] for trace in drawing["traces"] if trace.get("showlegend", True)]
    assert (drawing["layout"]["showlegend"], named) == (True, ["on the board", "below the line"])
    assert figure.label.startswith("Every scored run on Test CPU, 2 threads: 5 runs in 3 rows, from 1.2000 to 1.5000")


def test_a_race_spreads_seconds(make_summary):
    runs = [make_summary(entry="quick", train_s=time_s, loss_nats=3.2, **RACE) for time_s in (99.0, 101.0)]
    (section,) = rank(runs, {**RULES, "race": TrackRules(version=1, runs=3, alpha=0.01, least_gain=1.0)}).sections
    figure = spread(section)
    assert parsed(figure)["axes"]["x"][0]["values"][0] == [99.0, 101.0]
    assert "99.00 to 101.00 s" in figure.label


def test_a_crowd_is_cut_and_says_so(make_summary):
    runs = [make_summary(entry=f"entry-{number}", loss_nats=1 + number / 100) for number in range(ROWS_DRAWN + 5)]
    (section,) = rank(runs, RULES).sections
    figure = spread(section)
    assert len(parsed(figure)["layout"]["yaxis"]["ticktext"]) == ROWS_DRAWN
    assert f"the first {ROWS_DRAWN} of {ROWS_DRAWN + 5} rows" in figure.label


def test_less_than_two_scored_runs_are_no_figure(make_summary):
    (section,) = rank([make_summary()], RULES).sections
    assert spread(section) is None
    (section,) = rank([make_summary(verdict=Verdict.CRASHED)], RULES, include_unranked=True).sections
    assert spread(section) is None


def pseudo_html(text):
    """A text of Plotly's as it is shown; what it would take for markup is gone."""
    shown = re.sub(r"<[^>]*>", "", text)
    assert "%{" not in shown
    return re.sub(r"&#(\d+);", lambda match: chr(int(match[1])), shown)


def test_words_of_strangers_are_shown_and_never_obeyed(make_history, make_step):
    step = make_step(1.5, technique=HOSTILE, authors=(Author(name=HOSTILE),))
    history = make_history(step, hardware=HOSTILE)
    figure = progression([history, make_history(make_step(1.4))], elsewhere(result(1, 300.0, loss_nats=1.6), track="t"))
    for trace in parsed(figure)["traces"]:
        assert trace["hovertemplate"] == "%{customdata}<extra></extra>"
        for text in (trace["name"], *trace["customdata"]):
            assert not re.search(r"%\{|\$|<(?!/?b>|br>)", text)
    (words,) = traces(figure, "ours")[0]["customdata"]
    assert "<b>x</b>" in pseudo_html(words.replace("<br>", " "))


@given(st.text(max_size=60))
def test_markup_shows_the_very_words(text):
    written = markup(text, 60)
    assert not set(written.replace("&#", "")) & set("<>%$&")
    assert "\n" not in written
    assert markup("a<b", 10) == "a&#60;b"
