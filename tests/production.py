"""A production installation for tests: a database of its own, a Redis database of its own, moto's S3 with
authentication on, and two machines that share nothing else."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import psycopg
import requests
from psycopg import sql

from tests.stack import ROOT, Installation, free_port, production_keys, running, wait_until

_POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'


@contextmanager
def production(folder: Path, **switches: str) -> Iterator[Installation]:
    """Machine one serves and works, machine two only works; DATABASE_URL and REDIS_URL name the servers."""
    with own_database() as database, s3_server(folder) as store:
        shared = {
            "DATABASE_URL": database,
            "REDIS_URL": own_redis(),
            "EDITAI_STORAGE": "s3",
            **store,
            **production_keys(),
        }
        installation = Installation(folder, shared, switches)
        installation.machine("one")
        installation.machine("two", _workers_only(folder))
        with running(installation):
            yield installation


def _workers_only(folder: Path) -> Path:
    lines = (ROOT / "Procfile").read_text().splitlines()
    path = folder / "Procfile.workers"
    path.write_text("\n".join(line.replace("@%h", "@two") for line in lines if line.startswith("media:")) + "\n")
    return path


@contextmanager
def own_database() -> Iterator[str]:
    """The address of an empty database on the server of DATABASE_URL; dropped afterwards."""
    server = os.environ["DATABASE_URL"]
    name = f"stack_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def own_redis() -> str:
    """A database of the Redis of REDIS_URL for this test process."""
    number = 8 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    return urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{number}").geturl()


@contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """moto as a process, with one user who may use S3 and nobody else; yields the AWS_* switches."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (folder / "s3.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)],
            stdout=log,
            stderr=log,
            env={**os.environ, "MOTO_S3_CUSTOM_ENDPOINTS": url},
        )
    try:
        wait_until(lambda: _answers(url), 60, "the S3 server to answer")
        yield _user_and_bucket(url)
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/moto-api/", timeout=5).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


def _user_and_bucket(url: str) -> dict[str, str]:
    first: Any = {
        "endpoint_url": url,
        "aws_access_key_id": "first",
        "aws_secret_access_key": "first",
        "region_name": "us-east-1",
    }
    iam = boto3.client("iam", **first)
    iam.create_user(UserName="editai")
    iam.put_user_policy(UserName="editai", PolicyName="s3", PolicyDocument=_POLICY)
    key = iam.create_access_key(UserName="editai")["AccessKey"]
    boto3.client("s3", **first).create_bucket(Bucket="editai-test")
    requests.post(f"{url}/moto-api/reset-auth", data=b"0", timeout=10).raise_for_status()  # from now on: who are you?
    return {
        "AWS_S3_ENDPOINT_URL": url,
        "AWS_STORAGE_BUCKET_NAME": "editai-test",
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_S3_ADDRESSING_STYLE": "path",
    }
