"""Python imports this at its start: it hands a script of the workflow to the warm server, if one listens."""

import json
import os
import socket
import sys


def hand_over(address: str) -> None:
    """Let the server run this interpreter's script on this interpreter's streams, and end with its status."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
    except OSError:
        return  # the script runs here, only slower
    message = {"arguments": sys.orig_argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}
    data = json.dumps(message).encode() + b"\n"
    sent = socket.send_fds(connection, [data], [0, 1, 2])
    connection.sendall(data[sent:])
    status = connection.recv(1)
    os._exit(status[0] if status else 1)


if os.environ.get("SUTI_WARM") and len(sys.orig_argv) > 1 and sys.orig_argv[1].startswith("scripts/"):
    hand_over(os.environ["SUTI_WARM"])
