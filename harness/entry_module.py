"""The entry's two files, imported, and the functions that they define. Travels into the sandbox."""

import importlib.util
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path

from harness.entry_run import Run

BOOT = str(Path(__file__).resolve().parent.parent)


class MissingError(Exception):
    """A file or function that every entry has."""


def load_entry(folder: str) -> tuple[types.ModuleType, types.ModuleType]:
    """Import config.py and speedrun.py from the submission's folder, and from nowhere else.

    The folder goes to the end of the path, so that a json.py beside the entry never stands in for the library's.
    """
    sys.path[:] = [entry for entry in sys.path if entry != BOOT]
    sys.path.append(folder)
    return _load("config", folder), _load("speedrun", folder)


def _load(name: str, folder: str) -> types.ModuleType:
    path = Path(folder) / f"{name}.py"
    if not path.is_file():
        raise MissingError(f"{name}.py is missing")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def function(module: types.ModuleType, name: str) -> Callable[..., typing.Any]:
    found = getattr(module, name, None)
    if not callable(found):
        raise MissingError(f"{module.__name__}.py must define {name}()")
    return typing.cast("Callable[..., typing.Any]", found)


class Entry:
    """The submission's functions, and what the platform does when it leaves `save` and `load` out."""

    def __init__(self, module: types.ModuleType, run: Run) -> None:
        self.run = run
        self.setup = function(module, "setup")
        self.train = function(module, "train")
        self.predict = function(module, "predict")
        self._save = getattr(module, "save", None)
        self._load = getattr(module, "load", None)
        if (self._save is None) != (self._load is None):
            raise MissingError("speedrun.py must define both save() and load(), or neither")

    def save(self, model: typing.Any, folder: Path) -> None:
        import torch

        if self._save is not None:
            self._save(model, str(folder))
        elif callable(getattr(model, "state_dict", None)):
            torch.save(model.state_dict(), folder / "state.pt")
        else:
            raise MissingError("train() returned no torch module; speedrun.py must define save() and load()")

    def load(self, model: typing.Any, folder: Path) -> typing.Any:
        import torch

        if self._load is not None:
            return self._load(self.run, model, str(folder))
        state = torch.load(folder / "state.pt", map_location=self.run.device, weights_only=True)
        model.load_state_dict(state)
        return model
