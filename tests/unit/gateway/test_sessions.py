"""Sessions end: when idle, when old, when everybody is logged out; and their ids are always new."""

from services.gateway.access.sessions import IDLE_S, LONGEST_S, MOST_SESSIONS, Sessions


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_it_ends_when_idle_and_not_before() -> None:
    clock = Hand()
    sessions = Sessions(clock)
    session_id = sessions.begin(0)
    clock.now_s += IDLE_S - 1
    assert sessions.use(session_id, 0) is not None
    clock.now_s += IDLE_S - 1
    assert sessions.use(session_id, 0) is not None, "use keeps it alive"
    clock.now_s += IDLE_S + 1
    assert sessions.use(session_id, 0) is None


def test_it_ends_at_its_greatest_age_however_busy() -> None:
    clock = Hand()
    sessions = Sessions(clock)
    session_id = sessions.begin(0)
    while clock.now_s + IDLE_S / 2 < LONGEST_S:
        clock.now_s += IDLE_S / 2
        assert sessions.use(session_id, 0) is not None
    clock.now_s = LONGEST_S + 1
    assert sessions.use(session_id, 0) is None


def test_a_new_state_of_access_ends_all_of_the_old() -> None:
    sessions = Sessions(Hand())
    ids = [sessions.begin(0) for _ in range(3)]
    assert [sessions.use(one, 1) for one in ids] == [None, None, None]
    assert sessions.use(ids[0], 0) is None, "and for good"


def test_one_logout_ends_one_session() -> None:
    sessions = Sessions(Hand())
    one, other = sessions.begin(0), sessions.begin(0)
    sessions.end(one)
    assert sessions.use(one, 0) is None
    assert sessions.use(other, 0) is not None


def test_ids_and_tokens_are_never_the_same() -> None:
    sessions = Sessions(Hand())
    ids = [sessions.begin(0) for _ in range(20)]
    used = [sessions.use(one, 0) for one in ids]
    assert len({*ids, *(session.csrf_token for session in used if session)}) == 40


def test_more_logins_than_may_be_push_out_the_one_unused_longest() -> None:
    clock = Hand()
    sessions = Sessions(clock)
    first = sessions.begin(0)
    for n in range(MOST_SESSIONS):
        clock.now_s = float(n + 1)
        last = sessions.begin(0)
    assert len(sessions) == MOST_SESSIONS
    assert sessions.use(first, 0) is None
    assert sessions.use(last, 0) is not None
