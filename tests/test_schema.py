"""The OpenAPI document: committed as generated, complete, and its addresses stay put."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.validation import validate_schema

COMMITTED = Path(__file__).parent.parent / "docs" / "openapi.yaml"
METHODS = {"get", "post", "put", "patch", "delete"}

# Scripts of other people call these; a line may be added here, never taken away.
PINNED = """
POST auth/token/
GET POST profiles/
GET PATCH DELETE profiles/{}/
POST profiles/{}/set-default/
GET POST profiles/{}/members/
GET POST source-videos/
GET PATCH DELETE source-videos/{}/
GET source-videos/{}/stream/
GET POST source-videos/{}/segments/
GET segments/
GET PATCH DELETE segments/{}/
POST segments/{}/favorite/
POST segments/{}/extract/
GET segments/{}/stream/
POST segments/match-srt/
GET POST projects/
GET PATCH DELETE projects/{}/
GET PUT projects/{}/segments/
POST projects/{}/generate/
GET projects/{}/clips/
GET clips/
GET PATCH DELETE clips/{}/
POST clips/{}/render/
GET clips/{}/stream/
GET jobs/
GET DELETE jobs/{}/
GET jobs/{}/download/
POST jobs/{}/cancel/
POST jobs/{}/retry/
GET health/
GET gemini/status/
"""

# The only addresses that ask for no token and no session.
PUBLIC = {
    "/api/v1/auth/token/",
    "/api/v1/auth/accept-invitation/",
    "/api/v1/health/",
    "/api/v1/gemini/status/",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def test_the_committed_document_is_the_generated_one(document: dict[str, Any]) -> None:
    fresh = OpenApiYamlRenderer().render(document, renderer_context={}).decode()
    assert COMMITTED.read_text() == fresh, "Refresh it: ./run manage spectacular --file docs/openapi.yaml"


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate_schema(document)


def test_pinned_addresses_are_there(document: dict[str, Any]) -> None:
    there: dict[str, set[str]] = {}
    for path, method, _ in operations(document):
        there.setdefault(re.sub(r"\{[^}]*\}", "{}", path), set()).add(method.upper())
    missing = []
    for row in PINNED.split("\n"):
        if row:
            *methods, path = row.split()
            missing += [f"{method} {path}" for method in methods if method not in there.get(f"/api/v1/{path}", ())]
    assert missing == []


def test_every_operation_says_what_it_is_and_how_it_fails(document: dict[str, Any]) -> None:
    lacking = []
    for path, method, operation in operations(document):
        answers = operation["responses"]
        if not operation.get("description"):
            lacking.append(f"{method} {path}: no description")
        if not any(status.startswith("2") for status in answers):
            lacking.append(f"{method} {path}: no good end")
        wanted = {"400", "429"} if path != "/api/v1/health/" else set()
        if operation.get("security"):
            wanted |= {"401", "403", "404"}
        if wanted - set(answers):
            lacking.append(f"{method} {path}: {sorted(wanted - set(answers))}")
    assert lacking == []


def test_only_the_public_ones_ask_for_no_proof(document: dict[str, Any]) -> None:
    assert {path for path, _, operation in operations(document) if not operation.get("security")} == PUBLIC
    schemes = document["components"]["securitySchemes"]
    assert schemes["token"]["scheme"] == "bearer"
    assert schemes["session"]["in"] == "cookie"


def test_scoped_operations_take_the_profile_header(document: dict[str, Any]) -> None:
    lacking = [
        f"{method} {path}"
        for path, method, operation in operations(document)
        if path not in PUBLIC
        and "X-Profile-Id" not in {parameter["name"] for parameter in operation.get("parameters", [])}
    ]
    assert lacking == []


def test_no_body_takes_a_profile_but_a_tokens(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    taking = {
        name
        for name, schema in schemas.items()
        if name.endswith("Request") and {"profile", "profile_id"} & set(schema.get("properties", {}))
    }
    assert taking <= {"ApiTokenRequest", "NewApiTokenRequest"}


def nullable_to_null(schema: Any) -> Any:
    """OpenAPI 3.0's `nullable` in the words of JSON Schema."""
    if isinstance(schema, list):
        return [nullable_to_null(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: nullable_to_null(inner) for name, inner in schema.items() if name not in {"nullable", "example"}}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain


def test_every_shape_has_an_example_that_fits_it(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    plain = {"components": {"schemas": nullable_to_null(schemas)}}
    wrong = []
    for name, schema in schemas.items():
        if schema.get("type") != "object" or not schema.get("properties") or name == "Error":
            continue
        checker = jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", **plain})
        example = schema["example"]
        for problem in checker.iter_errors(example):
            if "binary" not in str(problem.schema) and "is a required property" not in problem.message:
                wrong.append(f"{name}: {problem.message} at {problem.json_path}")
    assert wrong == []


def test_the_file_is_plain_yaml() -> None:
    assert yaml.safe_load(COMMITTED.read_text())["openapi"].startswith("3.")
