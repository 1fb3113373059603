"""What is known of each network, for forms and for people: settings, rules with their sources."""

from typing import Any

from publishing.rules import kinds, network_settings, rulebook
from publishing.rules.facts import EVERY, NETWORKS
from publishing.rules.rulebook import Rule


def networks() -> list[dict[str, Any]]:
    """Every network that we know something about: {network, name, schema, defaults, fields, rules}; one query."""
    book = rulebook.load()
    names = list(dict.fromkeys([*NETWORKS, *(name for name in book.rules if name != EVERY)]))
    return [
        {
            **network_settings.describe(name),
            "rules": [_shown(rule) for _, rule in sorted(book.of(name).items())],
        }
        for name in names
    ]


def _shown(rule: Rule) -> dict[str, Any]:
    kind = kinds.KINDS[rule.rule]
    return {
        "rule": rule.rule,
        "value": rule.value,
        "unit": kind.unit,
        "sentence": kind.sentence.format(value=kinds.shown(rule.rule, rule.value)),
        "is_advice": rule.is_advice,
        "source": rule.source,
        "checked_on": rule.checked_on,
        "certainty": rule.certainty,
        "note": rule.note,
    }
