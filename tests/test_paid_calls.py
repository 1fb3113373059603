"""Nothing that costs money is called outside the door (`costs.services`): no paid function works there, and a module
that can call a provider has no other public ways to do so, but those that are free and listed here."""

import ast
import importlib
import importlib.util
import inspect
import selectors
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import httpx
import pytest
from django.apps import apps
from pytest_django import Settings

from costs.errors import OutsideTheDoor, PaidCallUnknown
from costs.services import PAID_FUNCTIONS, paid_call
from costs.tests.conftest import call_for, price
from profiles.models import Profile
from tests.stubs import meter_client
from tests.test_tenancy_rules import PRODUCT, ROOT

SDKS = ("google.genai", "google.generativeai", "elevenlabs", "openai")
SWITCHES = {"GEMINI_BASE_URL", "ELEVENLABS_BASE_URL", "OPENAI_BASE_URL"}
HOSTS = ("generativelanguage.googleapis.com", "api.elevenlabs.io", "api.openai.com")
DEFINES_SWITCHES = "editai.settings"

# What a provider module offers and costs nothing, as in "speech.elevenlabs.list_voices": why.
FREE: dict[str, str] = {}


# --- which modules can call a provider ------------------------------------------------------------------


def can_call_a_provider(tree: ast.Module) -> bool:
    """Whether a module imports an SDK of a provider, by whatever way, or names where one is to be reached."""
    return any(_is_telling(node) for node in ast.walk(tree))


def _is_telling(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=names):
            return any(_is_sdk(one.name) for one in names)
        case ast.ImportFrom(module=str(module), level=0, names=names):
            return any(_is_sdk(f"{module}.{one.name}") for one in names)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name in SWITCHES
        case ast.Constant(value=str(text)):
            return text in SWITCHES or any(host in text for host in HOSTS)
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
            args=[ast.Constant(value=str(module)), *_],
        ):
            return _is_sdk(module)
    return False


def _is_sdk(name: str) -> bool:
    return any(name == sdk or name.startswith(f"{sdk}.") for sdk in SDKS)


def public_calls(tree: ast.Module, module: str) -> set[str]:
    """Its public functions, and the public methods of its classes (`__call__` among them), by their full names."""
    found = set()
    for node in tree.body:
        for function, owner in _functions_in(node):
            if not function.startswith("_") or function == "__call__":
                found.add(f"{module}.{owner}{function}")
    return found


def _functions_in(node: ast.stmt, owner: str = "") -> Iterator[tuple[str, str]]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name, owner
        case ast.ClassDef(name=name, body=body) if not _is_exception(node):
            for inner in body:
                yield from _functions_in(inner, f"{owner}{name}.")
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda()):
            yield name, owner
        case ast.If(body=body, orelse=more) | ast.Try(body=body, orelse=more):
            for inner in (*body, *more):
                yield from _functions_in(inner, owner)


def _is_exception(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id.endswith(("Error", "Exception")) for base in node.bases)


def ways_around(path: Path, module: str, paid: Mapping[str, Any], free: Mapping[str, str]) -> set[str]:
    """What of a module could call a provider outside the door; empty for a module that knows no provider."""
    tree = ast.parse(path.read_text())
    if not can_call_a_provider(tree):
        return set()
    return public_calls(tree, module) - paid.keys() - free.keys()


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def provider_modules() -> list[Path]:
    """Those of the product, but for the settings, which define the switches."""
    return [
        path
        for path in PRODUCT
        if not name_of(path).startswith(DEFINES_SWITCHES) and can_call_a_provider(ast.parse(path.read_text()))
    ]


def load_what_is_paid() -> None:
    """Every module of the product with a paid function, and every one that knows a provider."""
    known = set(provider_modules())
    for path in PRODUCT:
        if path in known or ("@paid_function(" in path.read_text() and name_of(path) != "costs.services"):
            importlib.import_module(name_of(path))


# --- the product ----------------------------------------------------------------------------------------


def test_every_app_of_ours_is_looked_at() -> None:
    ours = [Path(app.path) for app in apps.get_app_configs() if ".venv" not in app.path]
    assert {path.relative_to(ROOT).parts[0] for path in ours} <= {path.relative_to(ROOT).parts[0] for path in PRODUCT}


def test_a_provider_module_offers_paid_and_free_calls_only() -> None:
    load_what_is_paid()
    around = {name for path in provider_modules() for name in ways_around(path, name_of(path), PAID_FUNCTIONS, FREE)}
    assert around == set(), "decorate it with @paid_function, or say in FREE why it costs nothing"


def test_what_is_free_is_there_and_is_not_paid() -> None:
    load_what_is_paid()
    offered = {name for path in provider_modules() for name in public_calls(ast.parse(path.read_text()), name_of(path))}
    assert FREE.keys() <= offered
    assert not FREE.keys() & PAID_FUNCTIONS.keys()


@dataclass(frozen=True)
class World:
    url: str
    somebody_knocked: Callable[[], bool]


@contextmanager
def a_listening_world(settings: Settings, patch: pytest.MonkeyPatch) -> Iterator["World"]:
    """A socket where every address of a provider and every proxy leads to."""
    with socket.socket() as listening, selectors.DefaultSelector() as selector:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        selector.register(listening, selectors.EVENT_READ)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        for name in SWITCHES:
            setattr(settings, name, url)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            patch.setenv(name, url)
        yield World(url, lambda: bool(selector.select(0.05)))


def refused(function: Callable[..., Any], url: str) -> bool:
    """Whether it refuses to work here, whatever it is given."""
    wanted = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
    ]
    given = [url for one in wanted if one.kind is not one.KEYWORD_ONLY]
    named = {one.name: url for one in wanted if one.kind is one.KEYWORD_ONLY}
    try:
        function(*given, **named)
    except OutsideTheDoor:
        return True
    except httpx.HTTPError:
        pass  # it has called
    return False


def test_no_paid_function_works_outside_the_door(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    load_what_is_paid()
    assert PAID_FUNCTIONS
    with a_listening_world(settings, monkeypatch) as world:
        assert {name: refused(function, world.url) for name, function in PAID_FUNCTIONS.items()} == dict.fromkeys(
            PAID_FUNCTIONS, True
        )
        assert not world.somebody_knocked()


# --- controls -------------------------------------------------------------------------------------------

PLANTED = '''
"""A provider module with a hole."""
import httpx
{import_line}
from costs.services import paid_function

class BadAnswer(Exception):
    def words(self): return "bad"

@paid_function("planted")
def speak(url): return httpx.post(url, timeout=0.2)

def whisper(url): return httpx.post(url, timeout=0.2)

class Client:
    @paid_function("planted")
    def transcribe(self, url): return httpx.post(url, timeout=0.2)

    def translate(self, url): return httpx.post(url, timeout=0.2)

    def _close(self): ...

def list_voices(url): return httpx.get(url, timeout=0.2)
'''
IMPORTS = (
    "from google import genai",
    "import google.genai as g",
    "from google.genai import types",
    "import google.generativeai",
    "from elevenlabs.client import ElevenLabs",
    "import openai",
    'import importlib; sdk = importlib.import_module("openai")',
    "from django.conf import settings; url = settings.GEMINI_BASE_URL",
    'from django.conf import settings; url = getattr(settings, "ELEVENLABS_BASE_URL")',
    'url = "https://api.elevenlabs.io/v1"',
)


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """`planted(import_line)`: a file with the module; what it registers is forgotten afterwards."""
    with mock.patch.dict(PAID_FUNCTIONS), mock.patch.dict(sys.modules):

        def write(import_line: str) -> Path:
            path = tmp_path / "planted.py"
            path.write_text(PLANTED.format(import_line=import_line))
            return path

        yield write


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("planted", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("import_line", IMPORTS)
def test_control_a_hole_is_found_whatever_way_the_provider_is_named(
    planted: Callable[[str], Path], import_line: str
) -> None:
    path = planted("")
    load(path)  # the SDKs need not be installed: what it registers is the same
    planted(import_line)
    free = {"planted.list_voices": "lists voices"}
    assert ways_around(path, "planted", PAID_FUNCTIONS, free) == {"planted.whisper", "planted.Client.translate"}


def test_control_a_module_that_knows_no_provider_is_not_asked(planted: Callable[[str], Path]) -> None:
    path = planted('import google.cloud, elevenlabs_like; provider = "openai"; name = provider.title()')
    assert ways_around(path, "planted", {}, {}) == set()


def test_control_a_call_without_the_decorator_is_heard(
    planted: Callable[[str], Path], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load(planted(""))
    with a_listening_world(settings, monkeypatch) as world:
        assert refused(module.speak, world.url)
        assert not world.somebody_knocked()
        assert not refused(module.whisper, world.url)
        assert world.somebody_knocked()


def test_control_inside_the_door_the_same_function_knocks(
    in_scope: Profile, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    price()
    monkeypatch.setattr(meter_client, "TIMEOUT", httpx.Timeout(0.2))
    with a_listening_world(settings, monkeypatch) as world:
        with pytest.raises(PaidCallUnknown), paid_call(profile=in_scope, call=call_for()):
            meter_client.speak(world.url, run="a", text="b")
        assert world.somebody_knocked()
