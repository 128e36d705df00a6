"""What a user says about engines is understood, or refused with what, why and fix, and without the secrets in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fathom.engines.engine import without_secrets
from fathom.engines.settings import FILE, KINDS, engine_urls
from fathom.errors import FathomError


def test_without_a_file_and_an_option_fathom_starts_its_own(tmp_path: Path):
    assert engine_urls(folder=tmp_path) == {}


def test_an_option_wins_over_the_file(tmp_path: Path):
    (tmp_path / FILE).write_text('[engines]\npostgres = "postgresql://a@b/c"\nredis = "redis://here"\n')
    found = engine_urls(["redis=unix:///run/redis.sock", "nats=nats://t@h:4222"], tmp_path)
    assert found == {"postgres": "postgresql://a@b/c", "redis": "unix:///run/redis.sock", "nats": "nats://t@h:4222"}


@pytest.mark.parametrize(
    "given",
    [
        "postgres=postgresql://ann:p%40ss@[::1]:5432/shop?sslmode=verify-full&sslrootcert=/x",
        "postgres=postgresql:///shop?host=/run/postgresql",
        "redis=rediss://user:pw@cache.example:6380/3",
        "nats=tls://nats.example",
        "objects=s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=x",
        "objects=file:///srv/a%20folder",
    ],
)
def test_these_are_urls(given: str, tmp_path: Path):
    kind, _, url = given.partition("=")
    assert engine_urls([given], tmp_path) == {kind: url}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("postgre=postgresql://h/d", "did you mean 'postgres'"),
        ("kafka=kafka://h", "name one of them"),
        ("postgres", "has no URL"),
        ("postgresql://ann:s3cret@h/d", "there is no kind in it"),
        ("postgres=", "it is empty"),
        ("postgres=redis://h", "it begins with 'redis://'"),
        ("postgres=h:5432", "it "),
        ("postgres=postgresql://", "names no host"),
        ("postgres=postgresql://ann:s3cret@h:99999/d", "its port"),
        ("postgres=postgresql://ann:s3cret@h:x/d", "its port"),
        ("postgres=postgresql://ann:s3cret@h:0/d", "its port is 0"),
        ("postgres=postgresql://ann:s3/cret@h/d", "%2F"),
        ("postgres=postgresql://ann:s3cret@[h/d", "taken apart"),
        ("nats=nats://ann:s3cret @h", "a blank"),
        ("redis=unix://place", "no absolute path"),
        ("objects=file://host/path", "three slashes"),
        ("objects=file:relative", "no absolute path"),
    ],
)
def test_what_is_no_url_is_refused_without_its_password(given: str, says: str, tmp_path: Path):
    with pytest.raises(FathomError) as caught:
        engine_urls([given], tmp_path)
    assert says in f"{caught.value.why} {caught.value.fix}"
    assert "s3" not in str(caught.value).replace("s3://", "")
    assert caught.value.code == 64


def test_one_kind_given_twice_is_refused(tmp_path: Path):
    with pytest.raises(FathomError, match="twice"):
        engine_urls(["nats=nats://a", "nats=nats://b"], tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[engines", "is not TOML"),
        ("[engine]\nredis = 'redis://h'", "has a part 'engine'"),
        ("engines = 3", "'engines' is not a table"),
        ("[engines]\nredis = 3", "the URL of redis is wrong"),
        ("[engines]\nredi = 'redis://h'", "there is no engine 'redi'"),
    ],
)
def test_a_file_that_is_wrong_is_named(text: str, says: str, tmp_path: Path):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(FathomError, match=says) as caught:
        engine_urls(folder=tmp_path)
    assert str(tmp_path / FILE) in str(caught.value)
    assert caught.value.fix


def test_the_example_of_each_kind_is_one(tmp_path: Path):
    for kind, (_, example) in KINDS.items():
        assert engine_urls([f"{kind}={example.split(' or ')[0]}"], tmp_path)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:s3cret@h:1/0", "redis://:***@h:1/0"),
        ("nats://s3cret@h", "nats://***@h"),
        ("s3://bucket/x?secret_access_key=s3cret", "s3://bucket/x"),
        ("postgresql://ann:s3@cret@h/d", "postgresql://ann:***@h/d"),
        ("s3cret", "***"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str):
    assert without_secrets(url) == shown
