"""Under which names it may be asked for."""

from services.gateway.security import allowed_hosts


def test_host_names_carry_the_port() -> None:
    assert allowed_hosts("127.0.0.1", 8080) == {"127.0.0.1:8080", "localhost:8080", "[::1]:8080"}
    assert "127.0.0.2:8080" in allowed_hosts("127.0.0.2", 8080)
    assert "localhost" in allowed_hosts("127.0.0.1", 80)
