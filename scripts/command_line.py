"""The command line of every script: a typed class of options, read and explained by cyclopts.

A script lists its options as fields of classes, one a group. Each has its help
text, and its default comes from the specification that uses it::

    battery_kwh: Positive = option("usable capacity [kWh]", BatteryAgent.capacity_kwh)

``--config FILE.toml`` gives options in a file, ``battery_kwh = 5``; what stands on the command line
counts more, and of two equal options the last. Mistakes are ``InvalidSpec`` in one line.
"""

import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform, get_type_hints

from console import ROOT
from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.config import Dict

from ems.errors import InvalidSpec

DEFAULT_DB = ROOT / "ems_data.duckdb"
DEFAULT_RESULTS = ROOT / "results"
DEFAULT_TRACKING = f"sqlite:///{ROOT / 'mlflow_runs' / 'mlflow.db'}"
DEFAULT_CACHE = Path.home() / ".cache" / "ems"
NOT_SAVED = ("config",)
LONGEST_SHOWN = 60
LONGEST_NAME = 255
"""Most bytes of one name in a path, on every usual file system."""

Options = TypeVar("Options")


# --- the options of a script --------------------------------------------------------------------


def option(help: str, default: Any) -> Any:
    """A field of a class of options with its help text and default."""
    if default in (None, "", ()) and "[default: " not in help:
        help = f"{help} [default: none]"
    return field(default=default, metadata={"help": help})


@dataclass_transform(frozen_default=True, kw_only_default=True)
def command(kind: type[Options]) -> type[Options]:
    """Turn a class of options into a frozen dataclass."""
    hints = get_type_hints(kind, include_extras=True)  # now, while the module's names are known
    kind.__annotations__ = {name: hints[name] for name in kind.__annotations__}
    return dataclass(frozen=True, kw_only=True)(kind)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def group(title: str) -> Callable[[type[Options]], type[Options]]:
    """Make a class a group of options with its own title in ``--help``."""
    titled = Parameter(name="*", group=Group.create_ordered(title))
    return lambda kind: titled(command(kind))  # type: ignore[no-any-return]


def options(kind: type) -> Any:
    """A field that holds a group of options."""
    return field(default_factory=kind)


# --- values -------------------------------------------------------------------------------------


def value(parse: Callable[[str], Any], must: str, metavar: str) -> Parameter:
    """How the text of an option is parsed; ``must`` completes the error "'text' …"."""

    def convert(_type: Any, tokens: Sequence[Any]) -> Any:
        text = tokens[-1].value  # the last one given counts
        try:
            return parse(text)
        except InvalidSpec as error:  # its message is more specific
            raise ValueError(str(error)) from error
        except ValueError as error:
            raise ValueError(f"'{shortened(text)}' {must}") from error

    return Parameter(converter=convert, n_tokens=1, allow_leading_hyphen=True, metavar=metavar)


def _number(kind: Callable[[str], Any], low: float, *, above: bool = False) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        found = kind(text)
        # Infinity is a default of some limits, but not something to type.
        if not (low < found if above else low <= found) or found == math.inf:
            raise ValueError(text)
        return found

    return parse


def shortened(text: str) -> str:
    """What was typed, cut to a length that fits a message."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def as_path(text: str) -> Path:
    """A path as typed, with ``~`` of a known user. Raises ``InvalidSpec`` for what can be none."""
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:  # the home of a user that does not exist
        raise InvalidSpec(f"'{shortened(text)}': {str(error).rstrip('.').lower()}") from error
    if not text.strip() or "\0" in text:
        raise InvalidSpec(f"'{shortened(text)}' names no file or folder")
    if any(len(part.encode()) > LONGEST_NAME for part in path.parts):
        raise InvalidSpec(f"'{shortened(text)}': a name in it is longer than {LONGEST_NAME} bytes")
    return path


def _folder(text: str) -> Path:
    path = as_path(text)
    if path.exists() and not path.is_dir():
        raise InvalidSpec(f"'{text}' is a file, a folder is needed")
    return path


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _one_or_several(kind: Callable[[str], float]) -> Callable[[str], float | tuple[float, ...]]:
    """A number, or several with commas between, each once."""

    def parse(text: str) -> float | tuple[float, ...]:
        found = tuple(kind(part) for part in text.split(","))
        if len(set(found)) < len(found):
            raise InvalidSpec(f"'{text}' names a size twice; name each once")
        return found if len(found) > 1 else found[0]

    return parse


def among(*known: str) -> Parameter:
    """Known names separated by commas, each once."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split(",")))
        for name in names:
            if name not in known:
                raise InvalidSpec(f"'{name}' is unknown; known: {', '.join(known)}")
        return names

    return value(parse, "", "NAME,…")


def mode_among(*known: str) -> Parameter:
    """One of the modes, spelled -ise or -ize."""

    def parse(text: str) -> str:
        mode = american(text)
        if mode not in known:
            raise ValueError(text)
        return mode

    return value(parse, f"is no mode; known: {', '.join(known)}; or spelled -ised", "MODE")


def american(mode: str) -> str:
    """A mode in the spelling used in results."""
    return mode.replace("centralised", "centralized")


Unnamed = Annotated[tuple[str, ...], Parameter(parse=False)]
Switch = Literal["on", "off"]
Count = Annotated[int, value(_number(int, 1), "must be a whole number of at least 1", "N")]
Whole = Annotated[int, value(_number(int, 0), "must be a whole number of at least 0", "N")]
Days = Annotated[
    int | Literal["all"],
    value(
        lambda text: text if text == "all" else _number(int, 1)(text),
        "must be a whole number of at least 1, or all",
        "N|all",
    ),
]
Number = Annotated[float, value(float, "must be a number", "X")]
Positive = Annotated[float, value(_number(float, 0, above=True), "must be a number above 0", "X")]
NotNegative = Annotated[float, value(_number(float, 0), "must be a number of at least 0", "X")]
Sizes = Annotated[
    float | tuple[float, ...],
    value(
        _one_or_several(_number(float, 0, above=True)),
        "must be a number above 0, or several with commas between",
        "X,X,…",
    ),
]
Scales = Annotated[
    float | tuple[float, ...],
    value(
        _one_or_several(_number(float, 0)),
        "must be a number of at least 0, or several with commas between",
        "X,X,…",
    ),
]
Numbers = Annotated[
    tuple[float, ...], value(_numbers, "must be numbers with commas between", "X,X,…")
]
Day = Annotated[date, value(date.fromisoformat, "must be a day as YYYY-MM-DD", "YYYY-MM-DD")]
PathName = Annotated[Path, value(as_path, "names no file or folder", "PATH")]
Folder = Annotated[Path, value(_folder, "names no file or folder", "PATH")]
Paths = Annotated[
    tuple[Path, ...],
    value(
        lambda text: tuple(as_path(part) for part in text.split(",")),
        "must be names of files",
        "PATH,…",
    ),
]
Words = Annotated[
    tuple[str, ...], value(lambda text: tuple(text.split(",")), "must be names", "NAME,…")
]


# --- reading them -------------------------------------------------------------------------------


def parsed(
    kind: type[Options],
    doc: str | None,
    epilog: str = "",
    arguments: Sequence[str] | None = None,
    *,
    config: bool = True,
    words: tuple[str, str] | None = None,
) -> Options:
    """The options on the command line; ``--help`` prints them and ends the script.

    ``config``: whether ``--config`` names a file of options. ``words``: metavar and help of
    positional arguments, for the field ``words``. Raises ``InvalidSpec``.
    """
    script = Path(sys.argv[0]).name
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    app = App(
        name=script,
        help=doc,
        help_epilogue=epilog,
        help_format="plaintext",
        help_flags=("--help", "-h"),
        version_flags=(),
        result_action="return_value",
        default_parameter=Parameter(
            name_transform=str, negative=(), show_default=_shown, allow_repeating=True
        ),
    )

    # cyclopts reads the options from the annotations of a function.
    def collected(given: Annotated[kind | None, Parameter(name="*")] = None) -> Any:  # type: ignore[valid-type]
        return given or kind()

    def with_words(
        *found: Annotated[str, Parameter(name=(words or "?")[0], help=(words or "??")[1])],
        given: Annotated[kind | None, Parameter(name="*")] = None,  # type: ignore[valid-type]
    ) -> Any:
        return replace(given or kind(), words=found)

    app.default(collected if words is None else with_words)

    try:
        # Found before parsing, since the file's options are defaults for the parser.
        if config and (file := _given(tokens, "--config")) is not None:
            app.config = (Dict(read_config(Path(file)), source=file, use_commands_as_keys=False),)
        found = app(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        # One line without a full stop, as all our errors.
        said = " ".join(str(error).split()).rstrip(".")
        raise InvalidSpec(f"{said[:1].lower()}{said[1:]} (see {script} --help)") from error
    if found is None:  # --help has been printed
        sys.exit(0)
    return found


def _shown(default: Any) -> str | None:
    """A default as typed; for None the help text says what it means."""
    if default in (None, "", ()):
        return None
    if isinstance(default, tuple):
        return ",".join(str(_shown(one)) for one in default)
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, float):
        return "none" if math.isinf(default) else f"{default:g}"
    return str(default)


def _given(tokens: Sequence[str], name: str) -> str | None:
    """The last value of an option on a command line."""
    found = None
    for word, following in pairwise((*tokens, None)):
        if word == name:
            found = following
        elif word is not None and word.startswith(f"{name}="):
            found = word.removeprefix(f"{name}=")
    return found


def given(tokens: Sequence[str], name: str, folder: Path) -> str | None:
    """The value of an option on a command line or in its config file; None: not given."""
    said, file = _given(tokens, f"--{name}"), _given(tokens, "--config")
    return said if said is not None or file is None else read_config(folder / file).get(name)


def read_config(file: Path) -> dict[str, Any]:
    """The options in a TOML file. Raises ``InvalidSpec``."""
    import tomllib

    try:
        found = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (
        OSError,
        ValueError,
        RecursionError,
    ) as error:  # TOML and Unicode errors are ValueErrors
        reason = getattr(error, "strerror", None) or str(error).split(";")[0]
        raise InvalidSpec(f"--config: {file} cannot be read ({reason}); check the file") from error
    tables = [name for name, value in found.items() if isinstance(value, dict)]
    if tables:
        raise InvalidSpec(
            f"--config: [{tables[0]}] is a table, options are plain keys such as battery_kwh = 5"
        )
    if "config" in found:
        raise InvalidSpec(f"--config: {file} names a config file itself; leave out config")
    return found


def require_one(**given: Any) -> None:
    """Raise ``InvalidSpec`` if more than one of mutually exclusive options is given."""
    names = [f"--{name}" for name, value in given.items() if value not in (None, False)]
    if len(names) > 1:
        raise InvalidSpec(f"{' and '.join(names)} exclude each other: give one")


# --- asking for them ----------------------------------------------------------------------------


def can_ask() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


def answer(question: str) -> str:
    """What was typed. Raises ``InvalidSpec`` where the input ends."""
    try:
        return input(f"{question} ").strip()
    except EOFError as error:
        raise InvalidSpec(f"no answer to: {question}") from error


def with_answer(
    parse: Callable[[Sequence[str]], Options], tokens: Sequence[str], name: str, question: str
) -> tuple[list[str], Options]:
    """The command line with the option ``name`` as answered, and what ``parse`` makes of it.

    Asks again after an answer that the option refuses. Without a terminal raises ``InvalidSpec``,
    which names the option.
    """
    if not can_ask():
        raise InvalidSpec(f"--{name} is missing: {question}")
    while True:
        told = [*tokens, f"--{name}={answer(question)}"]
        try:
            return told, parse(told)
        except InvalidSpec as error:
            print(str(error).split(" (see ")[0])


# --- keeping them -------------------------------------------------------------------------------


def as_toml(options: Any) -> str:
    """All options as a file for ``--config``, including defaults; None and () are left out."""
    lines = [f"{name} = {_toml(value)}" for name, value in _flat(options) if name not in NOT_SAVED]
    return "\n".join(lines) + "\n"


def _flat(options: Any) -> Iterator[tuple[str, Any]]:
    for one in fields(options):
        value = getattr(options, one.name)
        if is_dataclass(value):
            yield from _flat(value)
        # TOML has no None; infinity is the default of the limits it stands in, () is none named.
        elif value not in (None, math.inf, ()):
            yield one.name, value


def _toml(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, tuple):
        return json.dumps(",".join(map(str, value)))
    if isinstance(value, Path):
        # Absolute: the file may be used from another folder.
        return json.dumps(str(value.absolute()), ensure_ascii=False)
    # No password in a file that is kept and shared.
    return json.dumps(re.sub(r"//[^/@]*@", "//…@", str(value)), ensure_ascii=False)
