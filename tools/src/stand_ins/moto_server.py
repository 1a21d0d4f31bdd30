"""Runs moto's server, a stand-in for Amazon's services, on a free port until standard input ends.

Whoever starts it holds the other end of that pipe: however the tests end, the pipe ends with them, and so does this.
"""

import os
import sys

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
_, port = server.get_host_and_port()
print(port, flush=True)
sys.stdin.buffer.read()
os._exit(0)
