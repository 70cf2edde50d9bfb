"""So many open pages, as the gateway sees them: `python -m tests.benchmarks.page_clients URL COUNT` follows streams until it is killed."""

import http.client
import sys
import threading
from urllib.parse import urlsplit


def follow(host: str, opened: threading.Semaphore) -> None:
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("GET", "/api/stream")
    response = connection.getresponse()
    assert response.status == 200, response.status
    opened.release()
    while response.read1(65536):
        pass


def main() -> None:
    host, count = urlsplit(sys.argv[1]).netloc, int(sys.argv[2])
    opened = threading.Semaphore(0)
    threads = [threading.Thread(target=follow, args=(host, opened), daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for _ in threads:
        opened.acquire()
    print(count, flush=True)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
