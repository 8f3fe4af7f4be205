"""What GitHub runs for us: that no workflow gives a stranger anything, and that its commands exist.

`faults` is the judge; that it sees each fault is shown on workflows that were spoilt in exactly that way.
"""

import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from harness.result import encode
from harness.runner import SAVE_BYTES_A_SECOND
from harness.track import Track, list_tracks
from leaderboard.conduct import MOST_FAILURES
from leaderboard.signatures import NAMESPACE, Signer, signed_by
from speedrun import judging
from speedrun.app import app

ROOT = Path(__file__).resolve().parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").iterdir())
SUBMISSION, GPU, BOARD, PAGES = "verify-submission.yml", "verify-on-gpu.yml", "render-board.yml", "pages.yml"

TRIGGERS = {"push", "pull_request", "workflow_dispatch"}  # every other one runs with rights, for whoever causes it
FOLLOWS = {PAGES: [GPU]}  # runs when those end, with rights: strangers must not be able to start them
MAY = {  # besides reading
    GPU: {"contents": "write"},
    BOARD: {"contents": "write"},
    PAGES: {"pages": "write", "id-token": "write"},
}
RUNNERS = ("ubuntu-24.04", ["self-hosted", "${{ inputs.hardware }}"])
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def faults(name: str, text: str) -> list[str]:
    """What is wrong with a workflow."""
    workflow = yaml.safe_load(text)
    triggers = workflow[True]  # YAML's reading of `on`
    triggers = triggers if isinstance(triggers, dict) else {triggers: None}
    followed = (triggers.pop("workflow_run", {"workflows": []}) or {}).get("workflows", ["everything"])
    found = [f"follows {other}" for other in followed if other not in map(_name, FOLLOWS.get(name, ()))]
    triggers = set(triggers)
    found += [f"is triggered by {trigger}" for trigger in sorted(triggers - TRIGGERS)]
    for line in text.splitlines():
        if (used := re.match(r"\s*-?\s*uses:\s*(.*)", line)) and not PINNED.fullmatch(used[1].strip()):
            found.append(f"uses an action that is not pinned: {used[1]}")
    if workflow.get("permissions") != {"contents": "read"}:
        found.append("its permissions are not those to read")
    if not {"group", "cancel-in-progress"} <= set(workflow.get("concurrency", {})):
        found.append("says nothing of concurrency")
    code = "\n".join(line.partition(" #")[0] for line in text.splitlines() if not line.lstrip().startswith("#"))
    if re.search({GPU: r"\bid-token\b", PAGES: r"\bsecrets\b"}.get(name, r"\bsecrets\b|\bid-token\b"), code):
        found.append("asks for secrets")
    for job in workflow["jobs"].values():
        found += _job_faults(name, job, triggers)
    return found


def _name(workflow: str) -> str:
    return yaml.safe_load((GITHUB / "workflows" / workflow).read_text())["name"]


def _job_faults(name: str, job: dict, triggers: set[str]) -> list[str]:
    found = []
    if job.get("runs-on") not in RUNNERS:
        found.append(f"runs on {job.get('runs-on')}")
    if not isinstance(job.get("timeout-minutes"), int):
        found.append("has no time limit")
    rights = job.get("permissions", {"contents": "read"})
    if rights != {"contents": "read"} and (rights != MAY.get(name) or "pull_request" in triggers):
        found.append("may write")
    if "id-token" in rights and any("run" in step or "checkout" in step["uses"] for step in job["steps"]):
        found.append("runs code of ours where it may publish")
    if "self-hosted" in job.get("runs-on", ()) and "pull_request" in triggers:
        found.append("lets pull requests onto our own machines")
    for step in job["steps"]:
        if "${{" in step.get("run", ""):
            found.append(f"puts an expression into a script: {step['run']}")
        if "checkout" in step.get("uses", ""):
            given = step.get("with", {})
            if given.get("persist-credentials") is not False:
                found.append("leaves its token in the checkout")
            if "pull_request" in triggers and name == SUBMISSION and "base.sha" not in given.get("ref", ""):
                found.append("checks something else out than the base")
        if re.search(r"git\s+(checkout|switch|merge|pull|worktree|restore|reset)\b", step.get("run", "")):
            found.append("checks something out by hand")
    return found


def test_every_workflow_is_there_and_without_fault():
    assert {path.name for path in WORKFLOWS} == {"tests.yml", SUBMISSION, GPU, BOARD, PAGES}
    assert {
        path.name: faults(path.name, path.read_text()) for path in WORKFLOWS if faults(path.name, path.read_text())
    } == {}


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        (SUBMISSION, "on:\n  pull_request:", "on:\n  pull_request_target:", "is triggered by pull_request_target"),
        (SUBMISSION, "on:\n  pull_request:", "on:\n  pull_request:\n  issue_comment:", "is triggered by issue_comment"),
        (SUBMISSION, "@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2", "@v4", "not pinned: actions/checkout@v4"),
        (SUBMISSION, "83 # v4.2.2", "83", "not pinned"),
        (SUBMISSION, "contents: read", "contents: write", "its permissions are not those to read"),
        (SUBMISSION, "permissions:\n  contents: read\n", "", "its permissions are not those to read"),
        (SUBMISSION, "persist-credentials: false", "persist-credentials: true", "leaves its token"),
        (SUBMISSION, "          persist-credentials: false\n", "", "leaves its token"),
        (SUBMISSION, "ref: ${{ github.event.pull_request.base.sha }}", "ref: ${{ github.head_ref }}", "than the base"),
        (SUBMISSION, '--head "$HEAD"', "--head ${{ github.event.pull_request.head.ref }}", "puts an expression"),
        (SUBMISSION, "    env:\n", "    env:\n      KEY: ${{ secrets.KEY }}\n", "asks for secrets"),
        (SUBMISSION, "make .venv", "git checkout FETCH_HEAD && make .venv", "checks something out by hand"),
        (SUBMISSION, "    timeout-minutes: 30\n", "", "has no time limit"),
        (SUBMISSION, "    runs-on: ubuntu-24.04\n", "    runs-on: [self-hosted]\n", "onto our own machines"),
        (GPU, "on:\n", "on:\n  pull_request:\n", "lets pull requests onto our own machines"),
        (GPU, "on:\n", "on:\n  pull_request:\n", "may write"),
        ("tests.yml", "    timeout", "    permissions:\n      contents: write\n    timeout", "may write"),
        (BOARD, "concurrency:\n  group: render-board\n  cancel-in-progress: false\n", "", "concurrency"),
        (BOARD, "contents: write # the", "pages: write # the", "may write"),
        (PAGES, "workflows: [verify on GPU]", "workflows: [verify on GPU, tests]", "follows tests"),
        (GPU, "on:\n", "on:\n  workflow_run:\n    workflows: [tests]\n", "follows tests"),
        (PAGES, "permissions:\n  contents: read\n", "permissions:\n  pages: write\n", "not those to read"),
        (PAGES, "      pages: write", "      contents: write\n      pages: write", "may write"),
        (
            PAGES,
            "    needs: build\n",
            "    needs: build\n    env:\n      KEY: ${{ secrets.KEY }}\n",
            "asks for secrets",
        ),
        (PAGES, "        id: deployment\n", "        run: make\n      - id: deployment\n", "runs code of ours"),
        (PAGES, "actions/configure-pages@983d", "actions/checkout@983d", "runs code of ours"),
        (PAGES, "    timeout-minutes: 20\n    permissions:", "    permissions:", "has no time limit"),
    ],
)
def test_each_fault_is_seen(name, old, new, fault):
    text = (GITHUB / "workflows" / name).read_text()
    assert old in text
    assert any(fault in found for found in faults(name, text.replace(old, new)))


def test_the_key_is_behind_the_protected_environment_and_main():
    """The job that has the secret is one whose environment asks for leave, and only the step that fills the agent."""
    (job,) = yaml.safe_load((GITHUB / "workflows" / GPU).read_text())["jobs"].values()
    assert job["environment"] == "signing"
    assert job["if"] == "github.ref == 'refs/heads/main'"
    seeing = [step["run"] for step in job["steps"] if "secrets." in str(step.get("env", {}))]
    assert seeing == [".github/key-agent start"]
    assert "secrets." not in str(job["env"])
    runs = [step.get("run", "") for step in job["steps"]]
    assert runs.index(".github/key-agent stop") > max(number for number, run in enumerate(runs) if "$KEY" in run)


def test_what_the_site_follows_is_started_by_maintainers_alone():
    """`workflow_run` has main's rights. GitHub starts it by a workflow's name."""
    followed = yaml.safe_load((GITHUB / "workflows" / PAGES).read_text())[True]["workflow_run"]["workflows"]
    assert followed == [_name(GPU)]
    assert list(yaml.safe_load((GITHUB / "workflows" / GPU).read_text())[True]) == ["workflow_dispatch"]


def test_whatever_the_site_shows_brings_it_up_to_date():
    """A push that changes any of it matches a path; one that only renders the board does not."""
    paths = yaml.safe_load((GITHUB / "workflows" / PAGES).read_text())[True]["push"]["paths"]
    for shown in ("results", "duels", "rulings", "published"):
        assert any(matches(f"leaderboard/{shown}/a/b.json", path) for path in paths)
    for shown in ("leaderboard/maintainers", "leaderboard/site/templates/run.html", "harness/tracks/cpu-1min.toml"):
        assert any(matches(shown, path) for path in paths)
    for path in (path.lstrip("!") for path in paths):
        assert list(ROOT.glob(path)), path
    assert any(matches("speedrun/standings.py", path) for path in paths)
    for other in ("README.md", "docs/analysis.md", "speedrun/submissions/mine/speedrun.py"):
        assert not any(matches(other, path) for path in paths)
    assert paths.index("!leaderboard/README.md") > paths.index("leaderboard/**")


def matches(file: str, path: str) -> bool:
    """Whether GitHub takes a changed file to be meant by a path of a filter."""
    return re.fullmatch(re.escape(path).replace(r"\*\*", ".*").replace(r"\*", "[^/]*"), file) is not None


def test_the_choices_are_the_tracks():
    choices = yaml.safe_load((GITHUB / "workflows" / GPU).read_text())[True]["workflow_dispatch"]["inputs"]["track"]
    assert sorted(choices["options"]) == sorted(path.stem for path in (ROOT / "harness" / "tracks").glob("*.toml"))


DAY_MIN = 24 * 60  # as long as the token that pushes lives
PAIRS = 10  # that a duel makes unless asked otherwise


def worst_min(track: Track) -> float:
    """How long a run takes that uses every limit to its end."""
    limits = track.limits
    save_s = limits.save_s + limits.artifact_mib * 2**20 / SAVE_BYTES_A_SECOND
    scoring_s = 2 * (limits.load_s + limits.evaluation_s)  # the scorer's, and the twin's
    return (limits.setup_s + limits.train_s + save_s + scoring_s) / 60


def named(comment: str, what: str) -> list[str]:
    """The tracks behind `what` in a workflow's first lines."""
    (found,) = re.findall(rf"#   {what} on: ([\w., \n#-]*?)\n(?:#   \w|# \w)", comment)
    return re.findall(r"[\w.-]+", found.replace("#", ""))


def test_the_time_limits_hold_what_the_tracks_allow():
    """What does not fit into a day is named where a maintainer looks."""
    text = (GITHUB / "workflows" / GPU).read_text()
    (job,) = yaml.safe_load(text)["jobs"].values()
    limits_min = {step["name"]: step["timeout-minutes"] for step in job["steps"] if "timeout-minutes" in step}
    verify_min, duel_min = limits_min["Verify"], limits_min["Duel with the standing record"]
    # One of the two runs, and there is an hour for the rest: to install, to publish, to audit.
    assert max(verify_min, duel_min) + 60 <= job["timeout-minutes"] <= DAY_MIN - 60
    tracks = list_tracks()
    assert named(text, "the verification") == [
        track.id for track in tracks if (track.ranking.runs + MOST_FAILURES) * worst_min(track) > verify_min
    ]
    assert named(text, "ten pairs of a duel") == [
        track.id for track in tracks if PAIRS * 2 * worst_min(track) > duel_min
    ]
    # The shortest duel that can be settled fits everywhere, and two goes do for every verification.
    assert all(2 * 2 * worst_min(track) <= duel_min for track in tracks)
    assert all((track.ranking.runs + MOST_FAILURES) * worst_min(track) <= 2 * verify_min for track in tracks)
    docs = (ROOT / "docs" / "verification.md").read_text()
    assert all(track in docs for track in named(text, "the verification"))
    assert inspect.signature(judging.duel).parameters["pairs"].default == PAIRS


# --------------------------------------------------------------------------------------------------------- commands

# At the beginning of a line of a script, of a step's `run:`, or of what stands between backquotes.
_COMMAND = re.compile(r"^\s*(?:- )?(?:run: )?(?:exec )?(?:\.venv/bin/speedrun|\"\$speedrun\"|speedrun) ([a-z].*)")


def commands() -> list[str]:
    """Every command line of ours in what GitHub runs or shows, and in the page for maintainers."""
    found: set[str] = set()
    for path in (*GITHUB.rglob("*"), ROOT / "docs" / "verification.md"):
        text = path.read_text() if path.is_file() else ""
        quoted = [] if path.suffix == ".yml" and path.parent.name == "workflows" else re.findall(r"`([^`\n]+)`", text)
        for line in (*text.splitlines(), *quoted):
            if command := _COMMAND.match(line):
                found.add(re.split(r"  #| # | \|\| ", command[1])[0].strip())
    return sorted(found)


def arguments(command: str) -> list[str]:
    """As the shell would hand them over, with something that fits for every variable and every blank to fill in."""
    command = re.sub(r"\$\{\w+:\+([^}]*)\}", r"\1", command)
    command = re.sub(r"\$RUNS|\$PAIRS|\bN\b", "3", command)
    return [word for word in shlex.split(re.sub(r"\$\w+", "x", command)) if word != "…"]


@pytest.mark.parametrize("command", commands())
def test_every_command_parses(command):
    group = typer.main.get_command(app)
    name, *given = arguments(command)
    assert name in group.commands
    if given:  # a bare name is one that a sentence speaks of
        context = group.make_context("speedrun", [name])
        group.commands[name].make_context(name, given, parent=context)


def test_the_commands_that_the_workflows_stand_on_are_among_them():
    said = " ".join(commands())
    for command in (
        "verify-pr --base",
        "verify --track",
        "duel --against record",
        "leaderboard --render",
        "leaderboard --audit",
    ):
        assert command in said


def test_a_renamed_option_is_seen():
    group = typer.main.get_command(app)
    with pytest.raises(Exception, match="No such option"):
        group.commands["verify-pr"].make_context("verify-pr", ["--onto", "x"])


# ------------------------------------------------------------------------------------------------------------ forms


@pytest.mark.parametrize("name", ["verification-request.yml", "idea-without-gpu.yml"])
def test_issue_forms_are_what_github_takes(name):
    form = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / name).read_text())
    assert all(isinstance(form[key], str) and form[key] for key in ("name", "description", "title"))
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    for part in form["body"]:
        assert part["type"] in ("markdown", "input", "textarea", "checkboxes")
        assert "value" in part["attributes"] if part["type"] == "markdown" else part["attributes"]["label"]
        assert part.get("validations", {"required": True}) == {"required": True}
        assert all(option["label"] for option in part["attributes"].get("options", ()))


def test_the_other_templates_are_there():
    assert yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / "config.yml").read_text()) == {"blank_issues_enabled": True}
    assert (GITHUB / "pull_request_template.md").read_text().count("- [ ]") >= 3


def test_the_line_for_maintainers_in_the_docs_makes_a_key_count_as_it_says(tmp_path):
    (line,) = re.findall(
        r"^ +(ada@example\.org .*ssh-ed25519) AAAA… ada$", (ROOT / "docs/verification.md").read_text(), re.M
    )
    key, maintainers = tmp_path / "key", tmp_path / "maintainers"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, cwd=tmp_path)
    maintainers.write_text(f"{line} {key.with_suffix('.pub').read_text().split()[1]} ada\n")
    signature = Signer(key).sign(b"a record")
    assert signed_by(b"a record", signature, maintainers, "2026-11-21T00:00:00Z") == "ada@example.org"
    for elsewhere in ("2025-12-31T00:00:00Z", "2028-01-02T00:00:00Z"):
        assert signed_by(b"a record", signature, maintainers, elsewhere) is None


# ---------------------------------------------------------------------------------------------------------- scripts


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "SSH_", "SPEEDRUN_"))}
    quiet = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=kept | quiet | environment, capture_output=True, text=True, check=False
    )


def git(cwd: Path, *command: str | Path) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    done = run("git", *who, *command, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def origin(tmp_path) -> Path:
    """A repository on a server, whose main is a small checkout of ours."""
    checkout = tmp_path / "first"
    for path in ("harness/tracks/cpu-smoke.toml", "template/README.md", ".github/publish"):
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_bytes((ROOT / path).read_bytes())
        (checkout / path).chmod((ROOT / path).stat().st_mode)
    for path in (
        "README.md",
        "leaderboard/README.md",
        "leaderboard/results/.gitignore",
        "leaderboard/duels/.gitignore",
    ):
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text(
            "<!-- board:begin -->\n<!-- board:end -->\n" if path.endswith(".md") else ".lock\n"
        )
    (checkout / ".gitignore").write_text("data/cache/\n")
    git(checkout, "init", "--quiet", "--initial-branch=main")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message=first")
    origin = tmp_path / "origin.git"
    git(tmp_path, "clone", "--quiet", "--bare", checkout, origin)
    return origin


@pytest.fixture
def publish(tmp_path, origin, make_record):
    """In a clone of its own, adds a record of this entry to what main had then, and returns what publishes it."""
    program = tmp_path / "speedrun"
    program.write_text(
        f'#!/bin/sh\nexec {sys.executable} -P -c "import sys; from speedrun.app import main; sys.exit(main())" "$@"\n'
    )
    program.chmod(0o755)

    def prepare(entry: str):
        clone = tmp_path / entry
        git(tmp_path, "clone", "--quiet", origin, clone)
        record = make_record(entry=entry)
        path = clone / "leaderboard" / "results" / "cpu-smoke" / f"{record.run_id}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(record))
        return lambda: run(
            clone / ".github" / "publish", "Records", cwd=clone, SPEEDRUN=str(program), SPEEDRUN_ROOT=str(clone)
        )

    return prepare


def files(origin: Path) -> str:
    return git(origin, "ls-tree", "-r", "--name-only", "main")


def test_records_and_board_are_published_on_top_of_what_main_has_got(origin, publish):
    # Both start from the same main, and both render the same pages.
    mine, yours = publish("mine"), publish("yours")
    done = mine()
    assert done.returncode == 0, done.stderr
    # A server that refuses the first push, as it does when main moves in between.
    hook = origin / "hooks" / "pre-receive"
    hook.write_text('#!/bin/sh\nrm -- "$0"\nexit 1\n')
    hook.chmod(0o755)
    done = yours()
    assert done.returncode == 0, done.stderr
    assert "attempt 1 of 3" in done.stderr
    assert not hook.exists()

    board = git(origin, "show", "main:leaderboard/README.md")
    for entry in ("mine", "yours"):
        assert re.search(rf"leaderboard/results/cpu-smoke/\d+-\d+-{entry}-\w+\.json", files(origin))
        assert entry in board
    # Records, board, records, board: nothing was lost, nothing merged.
    assert git(origin, "log", "--format=%s", "main").splitlines() == [
        "The board as the records have it",
        "Records",
        "The board as the records have it",
        "Records",
        "first",
    ]
    before = git(origin, "rev-parse", "main")
    again = yours()
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "nothing to publish")
    assert git(origin, "rev-parse", "main") == before


@pytest.mark.parametrize(
    ("broken", "rendered"),
    [
        ("leaderboard/rulings/20261121-141530-mine-3f9a.retraction.json", True),
        ("leaderboard/published/cpu-smoke.json", False),
    ],
)
def test_a_broken_file_on_main_costs_no_records(tmp_path, origin, publish, broken, rendered):
    mine = publish("mine")
    somebody = tmp_path / "somebody"
    git(tmp_path, "clone", "--quiet", origin, somebody)
    (somebody / broken).parent.mkdir()
    (somebody / broken).write_text("{")
    git(somebody, "add", ".")
    git(somebody, "commit", "--quiet", "--message=broken")
    git(somebody, "push", "--quiet", "origin", "main")
    done = mine()
    assert done.returncode != 0
    assert "the records are published; the board has a fault" in done.stderr
    assert re.search(r"leaderboard/results/cpu-smoke/\d+-\d+-mine-\w+\.json", files(origin))
    assert ("mine" in git(origin, "show", "main:leaderboard/README.md")) is rendered


def test_a_server_that_refuses_ends_it(origin, publish):
    hook = origin / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    mine = publish("mine")
    before = git(origin, "rev-parse", "main")
    done = mine()
    assert done.returncode == 1
    assert "attempt 3 of 3" in done.stderr
    assert git(origin, "rev-parse", "main") == before


def test_the_key_signs_while_the_agent_lives_and_is_in_no_file(tmp_path):
    key = tmp_path / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, cwd=tmp_path)
    private = key.read_text()
    key.unlink()
    runner = Path(os.environ.get("TMPDIR", "/tmp")) / f"agent-{os.getpid()}"  # a socket's path is short
    runner.mkdir()
    handed_on = runner / "environment"
    given = {"RUNNER_TEMP": str(runner), "GITHUB_ENV": str(handed_on)}
    try:
        assert run(GITHUB / "key-agent", "start", cwd=tmp_path, **given).returncode == 1
        started = run(GITHUB / "key-agent", "start", cwd=tmp_path, SIGNING_KEY=private, **given)
        assert started.returncode == 0, started.stderr
        later = dict(line.split("=", 1) for line in handed_on.read_text().splitlines())
        sign = ("ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", later["KEY"], handed_on)
        assert run(*sign, cwd=tmp_path, **later).returncode == 0
        written = [path for folder in (runner, tmp_path) for path in folder.rglob("*") if path.is_file()]
        assert not any("PRIVATE KEY" in path.read_text() for path in written)
        assert Path(later["KEY"]).stat().st_mode & 0o077 == 0
        assert run(GITHUB / "key-agent", "stop", cwd=tmp_path, **given, **later).returncode == 0
        assert not (runner / "signing").exists()
        assert run(*sign, cwd=tmp_path, **later).returncode != 0
    finally:
        for path in sorted(runner.rglob("*"), reverse=True):
            path.unlink() if not path.is_dir() else path.rmdir()
        runner.rmdir()


@pytest.mark.parametrize(("ended", "published", "at_last"), [(0, True, 0), (1, True, 1), (2, False, None)])
def test_a_broken_record_is_no_reason_to_publish_nothing(tmp_path, ended, published, at_last):
    """The site is there with an exit code of 1, and names what is broken; the workflow is red all the same."""
    jobs = yaml.safe_load((GITHUB / "workflows" / PAGES).read_text())["jobs"]
    (build,) = [step["run"] for step in jobs["build"]["steps"] if step.get("id") == "site"]
    (sound,) = [step["run"] for step in jobs["sound"]["steps"]]
    speedrun = tmp_path / ".venv" / "bin" / "speedrun"
    speedrun.parent.mkdir(parents=True)
    speedrun.write_text(f"#!/bin/sh\nexit {ended}\n")
    speedrun.chmod(0o755)
    output = tmp_path / "output"
    env = {**os.environ, "RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(output)}
    built = subprocess.run(["bash", "-e", "-c", build], cwd=tmp_path, env=env, check=False)
    assert (built.returncode == 0) == published
    if published:
        name, _, status = output.read_text().strip().partition("=")
        assert name == "status"
        assert jobs["build"]["outputs"] == {"status": "${{ steps.site.outputs.status }}"}
        env["STATUS"] = status
        assert subprocess.run(["bash", "-e", "-c", sound], cwd=tmp_path, env=env, check=False).returncode == at_last
