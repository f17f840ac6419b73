"""The issuer's keys: fetched seldom, rolled over, and kept while the issuer is down."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from allotment.doors.rest.issuer_fetch import IssuerKeys
from allotment.doors.rest.key_cache import (
    FRESH_SECONDS,
    INTERVAL_SECONDS,
    STALE_SECONDS_MAX,
    KeyCache,
)
from allotment.doors.rest.refusal import Refusal
from allotment.errors import Unauthenticated
from oidc_issuer import DISCOVERY, JWKS, Answer, Issuer, new_key


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(issuer: Issuer, clock: Clock) -> KeyCache:
    return KeyCache(IssuerKeys(issuer.url), clock)


def down() -> Answer:
    return 503, {}, b"{}"


def document(found: object) -> Answer:
    return 200, {}, json.dumps(found).encode()


def reason(cache: KeyCache, kid: str | None, alg: str = "RS256") -> Refusal:
    with pytest.raises(Unauthenticated) as caught:
        cache.find(kid, alg)
    return Refusal(str(caught.value.facts["reason"]))


def test_keys_are_fetched_once_and_kept(issuer: Issuer, cache: KeyCache, clock: Clock) -> None:
    for _ in range(50):
        clock.now += 1
        assert cache.find("rsa-1", "RS256").kid == "rsa-1"
        assert cache.find("ec-1", "ES256").kid == "ec-1"
    assert issuer.asked == {DISCOVERY: 1, JWKS: 1}


def test_a_new_key_is_found_as_soon_as_it_signs(
    issuer: Issuer, cache: KeyCache, clock: Clock
) -> None:
    cache.find("rsa-1", "RS256")
    clock.now += INTERVAL_SECONDS
    issuer.keys["rsa-2"] = ("RS256", new_key("RS256", 2))
    assert cache.find("rsa-2", "RS256").kid == "rsa-2"
    assert cache.find("rsa-1", "RS256").kid == "rsa-1"


def test_a_withdrawn_key_is_forgotten_once_keys_are_not_fresh(
    issuer: Issuer, cache: KeyCache, clock: Clock
) -> None:
    cache.find("rsa-1", "RS256")
    del issuer.keys["rsa-1"]
    clock.now += FRESH_SECONDS + 1
    assert reason(cache, "rsa-1") is Refusal.KEY_UNKNOWN


def test_when_the_issuer_withdraws_all_keys_none_is_good(
    issuer: Issuer, cache: KeyCache, clock: Clock
) -> None:
    cache.find("rsa-1", "RS256")
    issuer.keys.clear()
    clock.now += FRESH_SECONDS + 1
    assert reason(cache, "rsa-1") is Refusal.KEY_UNKNOWN


def test_a_flood_of_unknown_keys_asks_the_issuer_once_per_interval(
    issuer: Issuer, cache: KeyCache, clock: Clock
) -> None:
    cache.find("rsa-1", "RS256")
    for number in range(1_000):
        clock.now += 0.1  # a hundred seconds in all
        assert reason(cache, f"made-up-{number}") is Refusal.KEY_UNKNOWN
    assert issuer.asked[JWKS] <= 2 + 100 / INTERVAL_SECONDS


def test_a_flood_from_many_threads_asks_the_issuer_once(issuer: Issuer, cache: KeyCache) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: reason(cache, f"made-up-{n}"), range(400)))
    assert set(found) == {Refusal.KEY_UNKNOWN}
    assert issuer.asked[JWKS] == 1


def test_first_requests_at_once_share_one_fetch(issuer: Issuer, cache: KeyCache) -> None:
    def slow() -> Answer:
        time.sleep(0.2)
        return document({"keys": issuer.jwks()})

    issuer.answers[JWKS] = slow
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda _: cache.find("rsa-1", "RS256"), range(16)))
    assert len({id(key) for key in keys}) == 1
    assert issuer.asked[JWKS] == 1


def test_first_requests_at_once_share_one_failure(issuer: Issuer, cache: KeyCache) -> None:
    def slow() -> Answer:
        time.sleep(0.2)
        return down()

    issuer.answers[DISCOVERY] = slow
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: reason(cache, "rsa-1"), range(16)))
    assert set(found) == {Refusal.NO_KEYS}
    assert issuer.asked == {DISCOVERY: 1}


def test_while_one_request_fetches_others_go_on_with_the_keys_there_are(
    issuer: Issuer, cache: KeyCache, clock: Clock
) -> None:
    cache.find("rsa-1", "RS256")
    clock.now += FRESH_SECONDS + 1
    asked, go_on = threading.Event(), threading.Event()

    def stuck() -> Answer:
        asked.set()
        assert go_on.wait(10)
        return document({"keys": issuer.jwks()})

    issuer.answers[JWKS] = stuck
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(cache.find, "rsa-1", "RS256")
        assert asked.wait(10)
        begin = time.monotonic()
        assert cache.find("rsa-1", "RS256")
        assert time.monotonic() - begin < 1
        go_on.set()
        assert fetching.result(10)


def test_keys_stay_good_for_a_day_while_the_issuer_is_down(
    issuer: Issuer, cache: KeyCache, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    cache.find("rsa-1", "RS256")
    issuer.answers[DISCOVERY] = down
    clock.now += STALE_SECONDS_MAX
    with caplog.at_level(logging.WARNING, "allotment.oidc"):
        assert cache.find("rsa-1", "RS256").kid == "rsa-1"
    assert "answered with status 503" in caplog.text
    clock.now += 1
    assert reason(cache, "rsa-1") is Refusal.NO_KEYS
    del issuer.answers[DISCOVERY]
    clock.now += INTERVAL_SECONDS
    assert cache.find("rsa-1", "RS256").kid == "rsa-1"


def test_an_issuer_that_is_down_is_asked_once_per_interval_too(
    issuer: Issuer, cache: KeyCache, clock: Clock
) -> None:
    issuer.answers[DISCOVERY] = down
    for _ in range(100):
        clock.now += 0.1
        assert reason(cache, "rsa-1") is Refusal.NO_KEYS
    assert issuer.asked == {DISCOVERY: 1}


def test_an_issuer_that_does_not_listen_is_no_more_than_a_refusal(clock: Clock) -> None:
    with Issuer() as gone:
        url = gone.url
    assert reason(KeyCache(IssuerKeys(url), clock), "rsa-1") is Refusal.NO_KEYS


def test_a_single_key_needs_no_name(issuer: Issuer, cache: KeyCache) -> None:
    issuer.keys = {"only": ("RS256", new_key("RS256"))}
    assert cache.find(None, "RS256").kid == "only"
    assert reason(cache, None, "ES256") is Refusal.KEY_UNFIT


def test_a_key_named_for_one_algorithm_checks_no_other(issuer: Issuer, cache: KeyCache) -> None:
    assert reason(cache, "rsa-1", "PS256") is Refusal.KEY_UNFIT
    bare = [{name: value for name, value in key.items() if name != "alg"} for key in issuer.jwks()]
    issuer.answers[JWKS] = lambda: document({"keys": bare})
    other = KeyCache(IssuerKeys(issuer.url), Clock())
    assert other.find("rsa-1", "PS256").kid == "rsa-1"
    assert other.find("ed-1", "Ed25519").kid == "ed-1"


def test_two_keys_of_one_name_are_told_apart_by_algorithm_or_not_at_all(
    issuer: Issuer, cache: KeyCache
) -> None:
    keys = [{**key, "kid": "same"} for key in issuer.jwks()]
    issuer.answers[JWKS] = lambda: document({"keys": keys + keys[:1]})
    assert cache.find("same", "ES256").kind.kty == "EC"
    assert reason(cache, "same", "RS256") is Refusal.KEY_UNFIT
