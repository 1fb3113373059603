"""Settings per network: the smallest that do, each missing one refused by its name, the order of merging."""

from typing import Any

import pytest

from profiles.errors import Invalid
from publishing.rules.facts import NETWORKS
from publishing.rules.network_settings import describe, effective, problems, title_of, validate_defaults
from publishing.rules.text_length import utf16_length

SMALLEST: dict[str, dict[str, Any]] = {
    "tiktok": {
        "privacy_level": "SELF_ONLY",
        "duet": False,
        "stitch": False,
        "comment": True,
        "autoAddMusic": "no",
        "brand_content_toggle": False,
        "brand_organic_toggle": False,
        "content_posting_method": "DIRECT_POST",
    },
    "instagram": {"post_type": "post"},
    "instagram-standalone": {"post_type": "post"},
    "youtube": {"title": "My short", "type": "public", "selfDeclaredMadeForKids": "no"},
    "facebook": {"post_type": "post"},
    "x": {"who_can_reply_post": "everyone"},
    "linkedin": {},
    "linkedin-page": {},
    "threads": {},
    "bluesky": {},
    "mastodon": {},
    "telegram": {},
    "pinterest": {"board": "123456"},
    "reddit": {
        "subreddit": [
            {
                "value": {
                    "subreddit": "/r/test",
                    "title": "My short",
                    "type": "media",
                    "url": "",
                    "is_flair_required": False,
                }
            }
        ]
    },
    "discord": {"channel": "112233"},
}
SMALLEST["tiktok-business"] = SMALLEST["tiktok"]
NEEDED = [
    *(("tiktok", name) for name in SMALLEST["tiktok"]),
    *(("tiktok-business", name) for name in SMALLEST["tiktok"]),
    ("instagram", "post_type"),
    ("instagram-standalone", "post_type"),
    ("youtube", "title"),
    ("youtube", "type"),
    ("x", "who_can_reply_post"),
    ("pinterest", "board"),
    ("reddit", "subreddit"),
    ("discord", "channel"),
]


def refused(network, settings):
    found = problems(network, settings)
    assert found
    return found


@pytest.mark.parametrize("network", NETWORKS)
def test_the_smallest_settings_of_each_network_do(network):
    assert problems(network, SMALLEST[network]) == {}


@pytest.mark.parametrize(("network", "name"), NEEDED)
def test_each_missing_setting_is_named(network, name):
    settings = {key: value for key, value in SMALLEST[network].items() if key != name}
    fields = refused(network, settings)
    assert list(fields) == [f"settings.{network}.{name}"]
    assert fields[f"settings.{network}.{name}"][0].startswith("This is needed")


def test_all_missing_settings_are_named_at_once():
    assert set(refused("tiktok", {})) == {f"settings.tiktok.{name}" for name in SMALLEST["tiktok"]}


@pytest.mark.parametrize(
    ("network", "settings", "field", "said"),
    [
        ("tiktok", {"privacy_level": "PUBLIC"}, "privacy_level", "PUBLIC_TO_EVERYONE"),
        ("tiktok", {"comment": "false"}, "comment", "true or false"),
        ("tiktok", {"privacyLevel": "SELF_ONLY"}, "privacyLevel", "Did you mean privacy_level?"),
        ("tiktok", {"brand_organic_toogle": False}, "brand_organic_toogle", "Did you mean brand_organic_toggle?"),
        ("youtube", {"title": "x"}, "title", "At least 2"),
        ("youtube", {"title": "x" * 101}, "title", "At most 100"),
        ("youtube", {"tags": [{"value": "a b" * 50, "label": "a"}] * 4}, "tags", "500 characters; these have 608"),
        ("x", {"community": "https://x.com/me"}, "community", "not an address"),
        ("pinterest", {"board": ""}, "board", "This is needed"),
        ("reddit", {"subreddit": []}, "subreddit", "At least 1"),
        ("instagram", {"plug-like": "1"}, "", "automations"),
        ("instagram", {"deep": [{"a": {"my-plug-x": 1}}]}, "deep.0.a", "automations"),
        ("instagram", {"__type": "x"}, "__type", "EditAI itself"),
        ("instagram", {"client_ref": "x"}, "client_ref", "EditAI itself"),
        ("instagram", {"note": "x" * 8_001}, "", "At most".lower()),
    ],
)
def test_what_does_not_fit_is_said_at_its_field(network, settings, field, said):
    fields = refused(network, {**SMALLEST[network], **settings})
    name = f"settings.{network}.{field}".rstrip(".")
    assert said in fields[name][0]


def test_reddit_wants_what_its_kinds_of_post_need():
    value = {"subreddit": "/r/test", "title": "My short", "type": "link", "url": "", "is_flair_required": True}
    fields = refused("reddit", {"subreddit": [{"value": value}]})
    assert set(fields) == {"settings.reddit.subreddit.0.value.url", "settings.reddit.subreddit.0.value.flair"}
    fields = refused("reddit", {"subreddit": [{"value": {}}]})
    assert "settings.reddit.subreddit.0.value.title" in fields


def test_a_picture_from_elsewhere_is_no_thumbnail():
    """What lies at an address may change after it was approved; a cover is a file of ours."""
    thumbnail = {"id": "1", "path": "https://example.org/a.jpg"}
    fields = refused("youtube", {**SMALLEST["youtube"], "thumbnail": thumbnail})
    assert list(fields) == ["settings.youtube.thumbnail"]
    assert "cover" in fields["settings.youtube.thumbnail"][0]
    with pytest.raises(Invalid):
        validate_defaults({"youtube": {"thumbnail": thumbnail}})
    assert "thumbnail" not in [field["name"] for field in describe("youtube")["fields"]]


def test_an_unknown_setting_that_resembles_none_passes():
    assert problems("instagram", {"post_type": "post", "brand_new": True}) == {}


@pytest.mark.parametrize("settings", [None, [], "x", {"a": float("nan")}])
def test_what_is_no_object_is_refused(settings):
    assert list(refused("tiktok", settings)) == ["settings.tiktok"]


def test_a_network_that_we_do_not_know_takes_one_flat_object():
    assert problems("vimeo", {"privacy": "anybody", "rating": 3, "loop": True}) == {}
    assert list(refused("vimeo", {"nested": {"a": 1}})) == ["settings.vimeo.nested"]
    assert list(refused("vimeo", {"a": "x" * 9_000})) == ["settings.vimeo"]


def test_each_choice_goes_over_the_one_before():
    of_profile = {"youtube": {"title": "Ours", "type": "unlisted"}, "x": {"who_can_reply_post": "verified"}}
    assert effective({}, "youtube", None)["type"] == "public"
    assert effective(of_profile, "youtube", None) == {
        "title": "Ours",
        "type": "unlisted",
        "selfDeclaredMadeForKids": "no",
    }
    assert effective(of_profile, "youtube", None, title="Set")["title"] == "Set"
    assert effective(of_profile, "youtube", {"title": "Given"}, title="Set", clip_name="Clip")["title"] == "Given"
    assert effective(of_profile, "x", {"who_can_reply_post": "everyone"}) == {"who_can_reply_post": "everyone"}
    assert effective(of_profile, "threads", None, title="Set", clip_name="Clip") == {}


def test_merging_changes_none_of_what_was_merged():
    given = {"subreddit": [{"value": {"subreddit": "/r/a"}}]}
    first = effective({}, "reddit", given, clip_name="A clip")
    assert given == {"subreddit": [{"value": {"subreddit": "/r/a"}}]}
    first["subreddit"][0]["value"]["title"] = "changed"
    effective({}, "tiktok", {})["comment"] = True
    assert effective({}, "tiktok", {})["comment"] is False


def test_titles_fall_back_to_the_name_of_the_clip_where_one_is_needed():
    assert effective({}, "youtube", {}, clip_name="n" * 150)["title"] == "n" * 100
    reddit = effective({}, "reddit", {"subreddit": [{"value": {"subreddit": "/r/a"}}]}, clip_name="A clip")
    assert problems("reddit", reddit) == {}
    assert title_of("reddit", reddit) == "A clip"
    assert "title" not in effective({}, "pinterest", {"board": "1"}, clip_name="A clip")


def test_a_name_becomes_no_longer_a_title_than_the_network_counts():
    title = effective({}, "youtube", {}, clip_name="🍞" * 60)["title"]
    assert title == "🍞" * 50
    assert utf16_length(title) == 100
    assert effective({}, "youtube", {}, clip_name="n" + "🍞" * 60)["title"] == "n" + "🍞" * 49
    assert title_of("pinterest", effective({}, "pinterest", {}, title="Set")) == "Set"


def test_nobody_chooses_tiktoks_privacy_but_a_person():
    assert list(problems("tiktok", effective({}, "tiktok", {}))) == ["settings.tiktok.privacy_level"]
    assert problems("tiktok", effective({"tiktok": {"privacy_level": "SELF_ONLY"}}, "tiktok", {})) == {}


def test_defaults_of_a_profile_may_lack_what_is_needed_but_hold_nothing_wrong():
    validate_defaults({"tiktok": {"privacy_level": "SELF_ONLY"}, "pinterest": {}, "youtube": {"type": "private"}})
    with pytest.raises(Invalid) as caught:
        validate_defaults({"tiktok": {"privacy_level": "ALL"}, "youtube": {"title": "x"}})
    assert set(caught.value.fields or {}) == {
        "network_settings.tiktok.privacy_level",
        "network_settings.youtube.title",
    }
    with pytest.raises(Invalid):
        validate_defaults([])


@pytest.mark.parametrize("network", [*NETWORKS, "vimeo"])
def test_each_network_is_described(network):
    told = describe(network)
    assert told["network"] == network
    assert told["name"]
    assert all(field["label"] for field in told["fields"])
    assert set(told["defaults"]) <= {field["name"] for field in told["fields"]}
    required = {field["name"] for field in told["fields"] if field["required"]}
    assert required == set(told["schema"]["required"])
    told["schema"]["properties"]["hacked"] = {}
    assert "hacked" not in describe(network)["schema"]["properties"]
