"""Finds and reads programme files: a person's own beside the station file, then the shipped ones."""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from services.core.config.load import ConfigError, Problem, parse_file
from services.core.config.station import Station
from services.core.programme import Programme

FOLDER = "programmes"
_SHIPPED = Path(str(files("services.core"))) / FOLDER


def names(config_folder: Path) -> list[str]:
    """Every programme that can be chosen."""
    return sorted({path.stem for folder in (config_folder / FOLDER, _SHIPPED) for path in folder.glob("*.yaml")})


def load(name: str, config_folder: Path | None = None) -> Programme:
    """The programme `name`; files that it names are looked for beside it. Raises ConfigError naming file, line, field, value and remedy."""
    folders = [_SHIPPED] if config_folder is None else [config_folder / FOLDER, _SHIPPED]
    for folder in folders:
        path = folder / f"{name}.yaml"
        if path.is_file():
            programme = _read(path, name)
            if programme.holidays.file is None:
                return programme
            beside = programme.holidays.model_copy(update={"file": str(folder / programme.holidays.file)})
            return programme.model_copy(update={"holidays": beside})
    own = f", or put {name}.yaml into {config_folder / FOLDER}" if config_folder else ""
    choice = f"choose from {', '.join(names(config_folder or Path()))}{own}"
    raise ConfigError([Problem(None, "programme", repr(name), f"there is none of this name; {choice}")])


def enrolled(station: Station, config_folder: Path | None = None) -> Station:
    """`station` with the rules of its programme filled in. Raises ConfigError."""
    if station.programme.rules is not None:
        return station
    rules = load(station.programme.name, config_folder)
    return station.model_copy(update={"programme": station.programme.model_copy(update={"rules": rules})})


def _read(path: Path, name: str) -> Programme:
    try:
        known = path.stat()
    except OSError as error:
        raise ConfigError([Problem(None, str(path), "", f"cannot be read: {error}")]) from None
    return _parsed(path, name, known.st_mtime_ns, known.st_size)


@lru_cache(maxsize=32)
def _parsed(path: Path, name: str, _changed_ns: int, _size: int) -> Programme:
    try:
        programme = parse_file(path.read_text(encoding="utf-8"), Programme, "services/core/programmes/coned-csrp.yaml")
    except ConfigError as error:
        raise ConfigError([Problem(one.line, f"{path}: {one.field}", one.value, one.remedy) for one in error.problems]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(None, str(path), "", f"cannot be read: {error}")]) from None
    if programme.name != name:
        raise ConfigError([Problem(None, f"{path}: name", repr(programme.name), f"must be the file's own name, {name}")])
    return programme
