"""What to do after a run: one sentence for each way that it may have ended. Pure."""

import re
from typing import NamedTuple

from harness.result import Record, Tier, Verdict
from leaderboard.text import plain
from speedrun.answers import Ran

ADVICE: dict[Verdict, str] = {
    Verdict.SETUP_TIMEOUT: "make setup() quicker: compile less, or warm up on fewer rows",
    Verdict.TIME_LIMIT: "stop earlier: look at run.time_left() in the training loop and leave room for the last step",
    Verdict.EVALUATION_TIMEOUT: "make predict() quicker: a shorter context, a longer stride, or a smaller model",
    Verdict.OUT_OF_MEMORY: "use less memory: a smaller batch_size or model, or fewer rows a predict call",
    Verdict.CRASHED: "mend the error above, then try it on cpu-smoke, which takes seconds",
    Verdict.BAD_OUTPUT: "predict(model, tokens) must return finite logits of shape [rows, T, at least the vocabulary]",
    Verdict.NOT_PREDICTIVE: "predict() may use tokens[:, :t+1] for position t and nothing else: no later token, no "
    "other row, no state between calls; switch dropout off",
    Verdict.PRETRAINED: "start from random weights in setup(); nothing may be trained before train() is called",
    Verdict.ARTIFACT_LIMIT: "save less, or a smaller model: speedrun tracks TRACK says how much is allowed",
    Verdict.PARAMETER_LIMIT: "change the model's size: speedrun tracks TRACK says how many parameters are allowed",
    Verdict.RULE_VIOLATION: "read the rules with speedrun tracks TRACK, and compare with template/",
    Verdict.OUTPUT_LIMIT: "print, log and write less",
    Verdict.INTERRUPTED: "run it again when there is time",
    Verdict.INTERNAL_ERROR: "this is the platform's fault and never counts against an entry: please open an issue "
    "with what speedrun show prints",
}


class Remedy(NamedTuple):
    """What a reason against a place on the board comes to."""

    reason: re.Pattern[str]  # the whole of it, as it stands in a record
    why: str  # in a few words; \\1 is what the pattern found
    todo: str  # empty: nothing helps


_ELSEWHERE = (
    "open a pull request with the entry (CONTRIBUTING.md): once it is merged, a maintainer's speedrun verify on the "
    "right machine gets it verified"
)
_DOCTOR = "speedrun doctor says what would help"
_PRACTICE = "it was asked for as practice"
_MACHINE = "the track needs "

# Every reason that there is, in the order in which the remedies are best followed. The words are chosen where a reason
# arises (speedrun/session.py, fitness.py, bout.py, commands/reproduce.py and verify_pr.py, harness/gates.py,
# open_record.py) and last in records; a test holds that none is missing here.
REMEDIES = tuple(
    Remedy(re.compile(reason), why, todo)
    for reason, why, todo in (
        ("its folder is not in speedrun/submissions", r"\g<0>", "move it there"),
        ("(fields of Config were set on the command line);.*", r"\1", "write them into config.py"),
        ("it was trained on .*", r"\g<0>", "run it without --dataset"),
        (
            r"(\S+) has no pinned hashes yet.*",
            r"\1 has no pinned hashes yet",
            r"ask a maintainer to pin \1 (docs/data.md)",
        ),
        ("it ran without a sandbox", r"\g<0>", "run it without --no-sandbox"),
        ("no sandbox works here", r"\g<0>", _DOCTOR),
        (r"\d+ processes need sandbox level .*", r"\g<0>", _DOCTOR),
        (_PRACTICE, r"\g<0>", "run it without --practice"),
        ("its seed was that of another run", r"\g<0>", "speedrun run draws a fresh one"),
        ("it reproduces a run", r"\g<0>", ""),
        ("it re-times a record", r"\g<0>", ""),
        ("it is a trial", r"\g<0>", ""),
        (rf"{_MACHINE}1 × (.+?) \(here: .*", r"this machine has no \1", _ELSEWHERE),
        (rf"{_MACHINE}(\d+ × .+?) \(here: .*", r"this machine does not have \1", _ELSEWHERE),
        (f"{_MACHINE}.*", "this machine has less than the track asks for", _ELSEWHERE),
    )
)


def after(value: Ran) -> str:
    """What to do after the last of these runs."""
    last = value.records[-1]
    if last.verdict is not Verdict.OK:
        return ADVICE[last.verdict].replace("TRACK", last.track.id)
    told = [unranked(last) if not last.ranked else _of_the_board(value, last)]
    if last.score is not None and last.score.target_met is False:
        told.insert(
            0, f"train until the loss is below {last.track.target_nats:g}: the mean of the runs must meet the target"
        )
    if value.interrupted and len(value.records) < value.runs_wanted:
        told.append(f"interrupted after {len(value.records)} of {value.runs_wanted} runs")
    return "; ".join(filter(None, told))


def _of_the_board(value: Ran, last: Record) -> str:
    """What a ranked run comes to, with all other runs of its variant."""
    board, on_board = f"speedrun leaderboard --show --track {last.track.id}", value.on_board
    if on_board is None:
        return board
    if on_board.missing_runs:
        runs = "1 more run" if on_board.missing_runs == 1 else f"{on_board.missing_runs} more runs"
        command = f"speedrun run {last.entry.name} --track {last.track.id} --runs {on_board.missing_runs}"
        return f"a place on {last.track.id} takes {runs} of this source: {command}"
    if on_board.rank is None:
        return f"it has no place: {plain(on_board.against, 300)}; {board} --all shows all of it"
    if last.tier is Tier.VERIFIED:
        return board
    return (
        f"{board} shows its place, number {on_board.rank}. It is self-reported: to have it verified, commit "
        f"speedrun/submissions/{last.entry.name} with its records and open a pull request (CONTRIBUTING.md); "
        "speedrun verify-pr --base origin/main says beforehand what CI will say"
    )


def unranked(record: Record) -> str:
    """Why a scored run has no place on the board, and what would give the entry one."""
    reasons = [plain(reason, 300) for reason in record.unranked_because]
    if any(reason.startswith(_MACHINE) for reason in reasons):
        # Nobody chose practice there: it is the only way to run it on this machine.
        reasons = [reason for reason in reasons if reason != _PRACTICE]
    whys, todo = [], [""] * len(REMEDIES)
    for reason in reasons:
        for number, remedy in enumerate(REMEDIES):
            if found := remedy.reason.fullmatch(reason):
                whys.append(found.expand(remedy.why))
                todo[number] = found.expand(remedy.todo)
                break
        else:
            whys.append(reason)
    steps = ", then ".join(dict.fromkeys(filter(None, todo)))
    return f"unranked: {' and '.join(whys)}" + (f"; {steps}" if steps else "")
