"""The stub answers as Postiz does: keys, posts, lists, uploads, deletions, versions."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.stubs.postiz import Customer, StubPostiz
from tests.stubs.postiz_caller import Caller, bad_request

INTERNAL = {"statusCode": 500, "message": "Internal server error"}


@pytest.mark.parametrize("prefix", ["/api/public/v1", "/public/v1"])
def test_both_prefixes_are_the_api(postiz: StubPostiz, prefix: str) -> None:
    answer = httpx.get(
        f"{postiz.url}{prefix}/is-connected", headers={"Authorization": postiz.organisation().key}, trust_env=False
    )
    assert (answer.status_code, answer.content) == (200, b'{"connected":true}')
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


def test_an_address_without_the_api_is_a_page(postiz: StubPostiz) -> None:
    answer = httpx.get(f"{postiz.url}/is-connected", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")


def test_refusals_of_keys(caller: Caller) -> None:
    def said(key: str | None) -> tuple[int, bytes]:
        headers = {} if key is None else {"Authorization": key}
        url = f"{caller.stub.url}/public/v1/integrations"
        answer = httpx.get(url, headers=headers, trust_env=False)
        return answer.status_code, answer.content

    own = caller.organisation
    assert said(None) == (401, b'{"msg":"No API Key found"}')
    assert said("wrong") == (401, b'{"msg":"Invalid API key"}')
    assert said(f"Bearer {own.key}") == (401, b'{"msg":"Invalid API key"}')
    assert said("pos_wrong") == (401, b'{"msg":"Invalid OAuth token"}')
    assert said(own.oauth_token)[0] == 200
    own.subscribed = False
    assert said(own.key) == (401, b'{"msg":"No subscription found"}')
    caller.stub.world.database_down = True
    assert said(own.key) == (401, b"")


def test_channels(caller: Caller) -> None:
    caller.organisation.add_integration("mastodon", name="Toots", picture=None, customer=Customer("Client B"))
    rows = caller.client.get("/integrations").json()
    kinds = ["tiktok", "instagram", "youtube", "facebook", "x", "linkedin", "threads", "pinterest", "bluesky", "tiktok"]
    assert [row["identifier"] for row in rows] == [*kinds, "mastodon"]
    assert [row["disabled"] for row in rows] == [False] * 9 + [True, False]
    assert set(rows[1]) == {"id", "name", "identifier", "picture", "disabled", "profile"}
    assert rows[-1]["picture"] is None
    assert rows[-1]["customer"]["name"] == "Client B"
    group = rows[-1]["customer"]["id"]
    assert {"id": group, "name": "Client B"} in caller.client.get("/groups").json()
    assert [row["name"] for row in caller.client.get("/integrations", params={"group": group}).json()] == ["Toots"]


def test_a_post_is_taken_and_listed(caller: Caller, stranger: Caller) -> None:
    answer = caller.post(caller.body("youtube"))
    [done] = answer.json()
    assert answer.status_code == 201
    assert done == {"postId": done["postId"], "integration": caller.channel("youtube").id}
    moment = "2030-01-01T10:02:03.417Z"
    [row] = caller.listed(moment, moment)  # both ends of the window count
    group = row["group"]
    assert row == {
        "id": done["postId"],
        "content": "Caption",
        "publishDate": moment,
        "releaseURL": None,
        "releaseId": None,
        "state": "QUEUE",
        "intervalInDays": None,
        "group": group,
        "creationMethod": "API",
        "settings": '{"__type":"youtube","title":"My short","type":"public"}',
        "tags": [],
        "integration": {
            "id": caller.channel("youtube").id,
            "providerIdentifier": "youtube",
            "name": "Organisation 1 youtube",
            "picture": "/no-picture.jpg",
        },
    }
    assert stranger.listed() == []


def test_the_same_body_twice_is_two_posts(caller: Caller) -> None:
    body = caller.body()
    assert caller.post(body).json()[0]["postId"] != caller.post(body).json()[0]["postId"]
    assert len(caller.listed()) == 2


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda body: body.pop(name)


def setting(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: body.update(values)


def of_post(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: body["posts"][0].update(values)


def of_value(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: body["posts"][0]["value"][0].update(values)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (without("date"), "date must be a valid ISO 8601 date string"),
        (setting(date="23/11/2026"), "date must be a valid ISO 8601 date string"),
        (setting(date=1764000000), "date must be a valid ISO 8601 date string"),
        (setting(posts=[]), "posts must contain at least 1 elements"),
        (setting(tags=[{"value": "a"}]), "tags.0.label must be a string"),
        (of_post(value=[]), "posts.0.value must contain at least 1 elements"),
        (of_value(image=None), "posts.0.value.0.image must be an array"),
        (of_value(content="", image=[]), "posts.0.value.0.If images do not exist, content must be a non-empty string."),
        (of_value(image=[{"path": "https://h/a.mp4"}]), "posts.0.value.0.image.0.id must be a string"),
        (
            of_value(image=[{"id": "1", "path": "https://h/a.avif?x=.mp4"}]),
            "posts.0.value.0.image.0.File must have a valid extension: .png, .jpg, .jpeg, .gif, .webp, or .mp4",
        ),
        (
            of_post(settings={}),
            "posts.0.settings.who_can_reply_post must be one of the following values: "
            "everyone, following, mentionedUsers, subscribers, verified",
        ),
    ],
)
def test_a_body_that_is_refused(caller: Caller, change: Callable[[dict[str, Any]], None], line: str) -> None:
    body = caller.body("x")
    change(body)
    answer = caller.post(body)
    assert answer.status_code == 400
    assert line in answer.json()["message"]
    assert answer.json() == bad_request(answer.json()["message"])
    assert caller.listed() == []


def test_number_of_lines_of_refusals(caller: Caller) -> None:
    body = caller.body()
    assert len(caller.post({**body, "shortLink": None, "tags": None}).json()["message"]) == 4
    of_post(settings={})(body)
    for kind in ("schedule", "draft"):
        assert len(caller.post({**body, "type": kind}).json()["message"]) == 10


def test_strings_are_turned_into_booleans(caller: Caller) -> None:
    assert caller.post(caller.body(shortLink="false")).status_code == 201


def test_unknown_and_foreign_channels(caller: Caller) -> None:
    foreign = caller.stub.organisation(1).integration("tiktok").id
    for one in ("nope", foreign):
        body = caller.body()
        of_post(integration={"id": one})(body)
        assert caller.post(body).json() == bad_request(f"Integration with id {one} not found")
    of_post(integration={})(body)
    assert caller.post(body).json() == bad_request("All posts must have an integration id")


@pytest.mark.parametrize(
    ("network", "count", "text", "message"),
    [
        ("tiktok", 0, "A", "No video / images selected"),
        ("youtube", 2, "A", "You need one media"),
        ("pinterest", 1, "A", "If posting a video to Pinterest you have to also include a cover image as second media"),
        ("x", 1, "漢" * 141, "post is too long, please fix it"),
        ("threads", 0, "&" * 101, "post is too long, please fix it"),
    ],
)
def test_what_a_network_refuses(caller: Caller, network: str, count: int, text: str, message: str) -> None:
    body = caller.body(network, media=[caller.media() for _ in range(count)])
    of_value(content=text)(body)
    name = f"Organisation 1 {network}"
    said = {"statusCode": 400, "provider": network, "name": name, "message": message}
    assert (caller.post(body).status_code, caller.post(body).json()) == (400, said)
    assert caller.post({**body, "type": "draft"}).status_code == 201
    caller.stub.world.set_version("2.21.8")
    assert caller.post(body).status_code == 201


def test_a_disabled_channel_is_taken(caller: Caller) -> None:
    body = caller.body()
    of_post(integration={"id": caller.organisation.integrations[-1].id})(body)
    assert caller.post(body).status_code == 201


def test_channels_of_one_call_are_checked_together(caller: Caller) -> None:
    body = caller.body("x")
    body["posts"] += caller.body("youtube", media=[])["posts"]
    assert caller.post(body).status_code == 400
    assert caller.listed() == []


@pytest.mark.parametrize(("kind", "state"), [("draft", "DRAFT"), ("shedule", "QUEUE"), (None, "QUEUE")])
def test_an_unknown_type_is_a_scheduled_post(caller: Caller, kind: str | None, state: str) -> None:
    assert caller.post(caller.body(type=kind)).status_code == 201
    assert [row["state"] for row in caller.listed()] == [state]
    caller.stub.world.set_version("2.21.8")
    assert caller.post(caller.body(type=kind)).status_code == (201 if kind == "draft" else 400)


def test_now_is_the_minute(caller: Caller) -> None:
    now = caller.stub.clock.freeze()
    caller.post(caller.body(type="now"))
    assert caller.listed()[0]["publishDate"] == now.strftime("%Y-%m-%dT%H:%M:00.000Z")


def test_a_group_deletes_and_a_known_id_edits(caller: Caller) -> None:
    first, second = (caller.post().json()[0]["postId"] for _ in range(2))
    group = next(row["group"] for row in caller.listed() if row["id"] == first)
    body = caller.body()
    of_post(group=group)(body)
    of_value(id=second, content="Edited")(body)
    assert caller.post(body).json()[0]["postId"] == second
    assert [(row["id"], row["content"]) for row in caller.listed()] == [(second, "Edited")]
    of_value(id="unknown")(body)
    assert caller.post(body).json()[0]["postId"] not in ("unknown", first, second)


def test_tags_that_do_not_exist_are_dropped(caller: Caller) -> None:
    caller.organisation.tags.append("launch")
    caller.post(caller.body(tags=[{"value": name, "label": name} for name in ("launch", "other")]))
    assert [entry["tag"]["name"] for entry in caller.listed()[0]["tags"]] == ["launch"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a < b && c", "a &lt; b &amp;&amp; c"),
        ("plain & two\nlines", "plain & two\nlines"),
        ("<p>I &lt;3 <script>u</script></p>", "<p>I &lt;3 u</p>"),
    ],
)
def test_texts_are_cleaned(caller: Caller, sent: str, kept: str) -> None:
    body = caller.body()
    of_value(content=sent)(body)
    caller.post(body)
    assert caller.listed()[0]["content"] == kept


def test_a_body_over_100_kb(caller: Caller) -> None:
    body = caller.body("facebook")
    of_post(settings={"ref": "x" * 90_000})(body)
    assert caller.post(body).status_code == 201
    of_post(settings={"ref": "x" * 103_000})(body)
    answer = caller.post(body)
    assert (answer.status_code, answer.content) == (413, b'{"statusCode":413,"message":"request entity too large"}')
    assert caller.client.get("/is-connected").status_code == 200


def test_a_full_plan_and_a_bound_media_domain(caller: Caller) -> None:
    body = caller.body()
    caller.stub.world.upload_domain = "cdn.example"
    assert caller.post(body).json()["msg"].endswith("contain the domain: cdn.example")
    caller.organisation.posts_left = 0
    assert (caller.post(body).status_code, caller.post(body).json()["statusCode"]) == (402, 402)


def test_a_list_needs_its_window(caller: Caller) -> None:
    answer = caller.client.get("/posts", params={"startDate": "2026-11-23"})
    assert answer.status_code == 400
    assert answer.json()["message"][0] == "endDate must be a valid ISO 8601 date string"


def test_a_repeated_post_is_listed_again_and_again(caller: Caller) -> None:
    caller.post(caller.body(inter=7))
    dates = [row["publishDate"] for row in caller.listed("2030-01-01T00:00:00Z", "2030-01-16T00:00:00Z")]
    assert dates == [f"2030-01-{day}T10:02:03.417Z" for day in ("01", "08", "15")]


def test_deleting(caller: Caller, stranger: Caller) -> None:
    one = caller.post().json()[0]["postId"]
    for client, post_id in ((stranger.client, one), (caller.client, "unknown")):
        answer = client.delete(f"/posts/{post_id}")
        assert (answer.status_code, answer.json()) == (500, INTERNAL)
    answer = caller.client.delete(f"/posts/{one}")
    assert (answer.status_code, answer.content) == (200, b'{"error":true}')
    assert caller.client.delete(f"/posts/{one}").status_code == 500
    assert caller.listed() == []
    caller.post()
    group = caller.listed()[0]["group"]
    for _ in range(2):
        assert caller.client.delete(f"/posts/group/{group}").content == b'{"error":true}'
    assert caller.listed() == []


def test_deleting_a_channel_takes_its_posts(caller: Caller) -> None:
    caller.post()
    caller.client.delete(f"/integrations/{caller.channel('tiktok').id}")
    assert caller.listed() == []
    assert caller.stub.settle() == []


def test_settings_and_tools_of_channels(caller: Caller) -> None:
    output = caller.client.get(f"/integration-settings/{caller.channel('tiktok').id}").json()["output"]
    assert (output["maxLength"], output["settings"]["type"]) == (2000, "object")
    url = f"/integration-trigger/{caller.channel('pinterest').id}"
    assert caller.client.post(url, json={"methodName": "boards", "data": {}}).json()["output"][0]["id"] == "123456"
    assert caller.client.post(url, json={"methodName": "other"}).json() == {"msg": "Tool not found"}
    assert caller.client.get("/integration-settings/unknown").status_code == 404


def test_older_versions_lack_what_they_lack(caller: Caller) -> None:
    caller.post()
    world = caller.stub.world
    world.set_version("2.23.0")
    assert "settings" not in caller.listed()[0]
    answer = caller.client.put("/posts/x/settings", json={})
    said = {"message": "Cannot PUT /public/v1/posts/x/settings", "error": "Not Found", "statusCode": 404}
    assert (answer.status_code, answer.json()) == (404, said)
    world.set_version("2.18")
    assert caller.client.get("/groups").status_code == 404
    assert "creationMethod" not in caller.listed()[0]
    world.set_version("2.11")
    assert "releaseId" not in caller.listed()[0]
    assert caller.client.get("/notifications").status_code == 404


def test_what_came_in_is_recorded(caller: Caller) -> None:
    body = caller.body()
    caller.client.post("/posts", json=body, headers={"Cookie": "session=secret"})
    upload, post = caller.stub.requests
    assert (upload.route, upload.organisation, upload.body) == ("POST /upload", caller.organisation, None)
    assert (post.route, post.status, post.body) == ("POST /posts", 201, body)
    assert post.size == len(json.dumps(body, separators=(",", ":"), ensure_ascii=False))
    assert post.authorization == caller.organisation.key
    assert "secret" not in str(post.headers)
