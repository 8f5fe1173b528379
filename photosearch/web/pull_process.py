"""The child process that downloads a model which a page has asked for, by `pull_model`.

    python -m photosearch.web.pull_process NAME
    stdout: a line of JSON at the end: {"remarks": [...]}, or {"error": one line}

The end of stdin ends it at once, so that it ends with its server. What was fetched stays, and the next one goes on.
"""

import json
import os
import signal
import sys
import threading

from photosearch import pull_model
from photosearch.errors import PhotosearchError


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: it is the server's
    threading.Thread(target=_end_with_server, daemon=True).start()
    try:
        answer: dict[str, object] = {"remarks": list(pull_model(sys.argv[1]).remarks)}
    except PhotosearchError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)


def _end_with_server() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
