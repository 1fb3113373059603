"""The rules about words and the cover."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from publishing.models import Integration, NetworkRule
from publishing.rules.kinds import KINDS, shown
from publishing.rules.rulebook import Finding, Rule, judged
from publishing.rules.text_length import X, hashtags, length, length_at_postiz, mentions, utf16_length


@dataclass(frozen=True)
class Words:
    """What goes with a clip. `has_cover`: it has a cover of its own."""

    caption: str = ""
    first_comment: str = ""
    title: str = ""
    has_cover: bool = False


def check_words(network: str, rules: Mapping[str, Rule], words: Words, integration: Integration) -> list[Finding]:
    limits = {**rules, **_live(network, rules, integration)}
    return [
        *_text(network, limits, words.caption, "caption_max", "caption"),
        *_comment(network, limits, words.first_comment),
        *_title(network, rules, words.title),
        *_counts(network, rules, words.caption),
        *_needs(network, rules, words),
    ]


def _live(network: str, rules: Mapping[str, Rule], integration: Integration) -> dict[str, Rule]:
    """Limits that Postiz knows of this very account: it tests texts against them, and the smaller one counts. On X they
    tell verified accounts from others, so there they count in any case."""
    most = integration.max_length
    if most is None or integration.is_outbox:
        return {}
    live = Rule(
        "postiz_text_max", most, "Postiz, for this account", integration.seen_at.date(), NetworkRule.Certainty.SURE
    )
    limits = {"postiz_text_max": live}
    known = rules.get("caption_max")
    if known is None or most < known.value or network == X:
        limits["caption_max"] = replace(live, rule="caption_max")
    return limits


def _text(network: str, limits: Mapping[str, Rule], text: str, name: str, field: str) -> Iterator[Finding]:
    if (rule := limits.get(name)) is not None:
        count = length(network, text)
        message = KINDS[name].sentence.format(value=shown(name, rule.value))
        if count > rule.value:
            how = ", with emoji and the like as two and links as 23" if network == X else ""
            message = f"{message} This one: {count}{how}."
        yield judged(network, rule, holds=count <= rule.value, message=message, value=count, field=field)
    if (rule := limits.get("postiz_text_max")) is not None:
        yield _at_postiz(network, rule, text, field)


def _at_postiz(network: str, rule: Rule, text: str, field: str) -> Finding:
    count, plain = length_at_postiz(network, text), length(network, text)
    message = KINDS[rule.rule].sentence.format(value=shown(rule.rule, rule.value))
    if count > rule.value:
        why = " It counts every & as five: write “and”." if plain <= rule.value else ""
        message = f"{message} This text: {count}.{why}"
    return judged(network, rule, holds=count <= rule.value, message=message, value=count, field=field)


def _comment(network: str, limits: Mapping[str, Rule], text: str) -> Iterator[Finding]:
    """A first comment has a limit of its own, or that of the caption."""
    if text:
        own = limits.get("comment_max") or limits.get("caption_max")
        comment = {**limits, "comment_max": replace(own, rule="comment_max")} if own else limits
        yield from _text(network, comment, text, "comment_max", "first_comment")


def _title(network: str, rules: Mapping[str, Rule], title: str) -> Iterator[Finding]:
    count = utf16_length(title)
    if (rule := rules.get("title_min")) is not None:
        yield _counted(network, rule, count, count >= rule.value)
    if (rule := rules.get("title_max")) is not None:
        yield _counted(network, rule, count, count <= rule.value)


def _counts(network: str, rules: Mapping[str, Rule], caption: str) -> Iterator[Finding]:
    for name, count in (("hashtags_max", len(hashtags(caption))), ("mentions_max", len(mentions(caption)))):
        if (rule := rules.get(name)) is not None:
            yield _counted(network, rule, count, count <= rule.value)


def _counted(network: str, rule: Rule, count: int, holds: bool) -> Finding:
    message = KINDS[rule.rule].sentence.format(value=shown(rule.rule, rule.value))
    return judged(
        network, rule, holds=holds, message=message if holds else f"{message} This one: {count}.", value=count
    )


def _needs(network: str, rules: Mapping[str, Rule], words: Words) -> Iterator[Finding]:
    needs = {
        "caption_required": (bool(words.caption.strip()), "Write one."),
        "cover_required": (words.has_cover, "Choose a picture of the clip, or upload one, as its cover."),
    }
    for name, (is_there, hint) in needs.items():
        rule = rules.get(name)
        if rule is not None and rule.value:
            message = KINDS[name].sentence
            yield judged(
                network, rule, holds=is_there, message=message if is_there else f"{message} {hint}", value=is_there
            )
