"""How long wrong passwords make one wait: longer each time, up to a limit, and never for ever."""

from hypothesis import example, given
from hypothesis import strategies as st

from services.gateway.access.throttle import (
    FORGOTTEN_S,
    FREE,
    FREE_OF_ALL,
    LONGEST_WAIT_OF_ALL_S,
    LONGEST_WAIT_S,
    MOST_CLIENTS,
    Throttle,
)


def after(failures: int, client: str = "a", throttle: Throttle | None = None) -> Throttle:
    throttle = throttle or Throttle()
    for _ in range(failures):
        throttle = throttle.failed(client, 0.0)
    return throttle


def test_a_few_mistypings_cost_nothing() -> None:
    assert after(FREE - 1).wait_s("a", 0.0) == 0.0


def test_the_wait_doubles_up_to_its_limit() -> None:
    waits = [after(n).wait_s("a", 0.0) for n in range(FREE, FREE + 12)]
    assert waits[:4] == [2.0, 4.0, 8.0, 16.0]
    assert waits == sorted(waits)
    assert max(waits) == LONGEST_WAIT_S


def test_the_right_password_forgets_the_wrong_ones() -> None:
    assert after(10).succeeded("a").wait_s("a", 0.0) == 0.0


def test_one_client_does_not_make_another_wait_until_there_are_many() -> None:
    assert after(FREE_OF_ALL - 1).wait_s("b", 0.0) == 0.0
    throttle = Throttle()
    for n in range(FREE_OF_ALL + 10):
        throttle = throttle.failed(f"10.0.0.{n}", 0.0)
    assert 0.0 < throttle.wait_s("b", 0.0) <= LONGEST_WAIT_OF_ALL_S


def test_whoever_logged_in_before_does_not_wait_for_strangers() -> None:
    throttle = after(500, "attacker", Throttle().succeeded("home"))
    assert throttle.wait_s("stranger", 0.0) > 0.0
    assert throttle.wait_s("home", 0.0) == 0.0


@example([("a", 8.450937145302689)] + [("a", 0.0)] * 8, "a")
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 50)), max_size=60), st.sampled_from("abc"))
def test_nobody_is_locked_out_for_ever(steps: list[tuple[str, float]], client: str) -> None:
    throttle, now_s = Throttle(), 0.0
    for name, later_s in steps:
        now_s += later_s
        throttle = throttle.failed(name, now_s)
    assert throttle.wait_s(client, now_s) <= LONGEST_WAIT_S
    assert throttle.wait_s(client, now_s + LONGEST_WAIT_S) == 0.0
    forgotten = throttle.failed(client, now_s + FORGOTTEN_S + 1)
    assert forgotten.wait_s(client, now_s + FORGOTTEN_S + 1) == 0.0


def test_a_flood_of_addresses_takes_no_more_memory() -> None:
    throttle = Throttle()
    for n in range(MOST_CLIENTS + 50):
        throttle = throttle.failed(f"client {n}", float(n))
    assert len(throttle.clients) == MOST_CLIENTS
    assert "client 0" not in throttle.clients
