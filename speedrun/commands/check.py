"""speedrun check: every static rule, without running anything."""

from harness import submission
from speedrun.answers import Checked, Fault
from speedrun.workspace import Workspace


def check(workspace: Workspace, name: str) -> Checked:
    """The static rules that an entry breaks. Raises UserError when there is no such entry."""
    folder = submission.find(name, workspace.submissions)
    problems = submission.check(folder, folder.name)
    return Checked(
        name=folder.name,
        problems=tuple(Fault(path=problem.path, line=problem.line, message=problem.message) for problem in problems),
    )
