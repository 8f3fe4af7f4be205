"""speedrun new: copy the template."""

import shutil

from harness.errors import UserError
from harness.folder import IGNORED_NAMES
from harness.submission import check_name, look_alike
from speedrun.answers import Created
from speedrun.workspace import Workspace


def new(workspace: Workspace, name: str) -> Created:
    """Makes `speedrun/submissions/<name>` a copy of the template, whole or not at all.

    Raises:
        UserError: a name that no entry can have, or one that is taken or looks like a taken one.
    """
    check_name(name)
    folder = workspace.submissions / name
    if folder.exists() or folder.is_symlink():
        raise UserError(f"there is an entry {name!r} already; choose another name, or edit {_shown(workspace, name)}")
    workspace.submissions.mkdir(parents=True, exist_ok=True)
    taken = (entry.name for entry in workspace.submissions.iterdir() if entry.is_dir())
    if (other := look_alike(name, taken)) is not None:
        raise UserError(f"readers would take {name!r} for the entry {other!r}; choose another name")
    # A name that no entry can have, so that a copy that was cut short is never taken for one.
    copy = workspace.submissions / f".{name}.new"
    shutil.rmtree(copy, ignore_errors=True)
    try:
        shutil.copytree(workspace.template, copy, ignore=shutil.ignore_patterns(*IGNORED_NAMES))
        copy.rename(folder)
    except shutil.Error as error:
        raise UserError(f"the template cannot be copied: {error.args[0][0][2]}") from None
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    return Created(name=name, folder=_shown(workspace, name))


def _shown(workspace: Workspace, name: str) -> str:
    return (workspace.submissions / name).relative_to(workspace.root).as_posix()
