"""Questions to the recorder's query API, for commands: an answer, or one line that says why there is none."""

from typing import TYPE_CHECKING, Any

from services.cli.exits import fail
from services.cli.options import recorder_headers

if TYPE_CHECKING:
    from services.core.config.station import Station

TIMEOUT_S = 30.0


def base_of(station: "Station") -> str:
    """Where the station's recorder answers."""
    from services.bus.deployment import here

    return here().asks_recorder_at(station)


def tell(url: str, body: dict[str, Any]) -> Any:
    """Hand something to the recorder, and return its answer; ends the command with one line if it is not taken."""
    import requests

    try:
        answer = requests.post(url, json=body, headers=recorder_headers(), timeout=TIMEOUT_S)
        told = answer.json()
    except requests.ConnectionError:
        fail(
            f"the recorder does not answer at {url.partition('/api')[0]}, and it alone writes the journal; start the station with"
            " `sps run`, or the recorder alone with `sps run --only recorder`"
        )
    except (requests.RequestException, ValueError) as error:
        fail(f"the recorder did not answer sensibly at {url}: {error}; what was sent may be sent again")
    if not answer.ok:
        fail(f"the recorder refused: {told.get('detail', told) if isinstance(told, dict) else told}")
    return told


def ask(url: str, **query: str) -> Any:
    """What the recorder answers; ends the command with one line if it does not."""
    import requests

    try:
        answer = requests.get(url, params=query, headers=recorder_headers(), timeout=TIMEOUT_S)
        body = answer.json()
    except requests.ConnectionError:
        fail(
            f"the recorder does not answer at {url.partition('/api')[0]}; start the station with `sps run`, or name its file with --config"
        )
    except (requests.RequestException, ValueError) as error:
        fail(f"the recorder did not answer sensibly at {url}: {error}")
    if answer.status_code in (404, 422) and "/report" in url:
        fail("there is no such event; `sps event list` shows the known ones")
    if not answer.ok:
        where = "; name that folder with --var" if answer.status_code == 401 else ""
        fail(f"the recorder refused: {body.get('detail', body) if isinstance(body, dict) else body}{where}")
    return body
