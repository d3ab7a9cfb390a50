"""Connections that never say anything worth while.

    flood.py ADDRESS COUNT PORT…

Opens COUNT TCP connections to the ports in turn, from hundreds of source addresses (10.80.0.0/16, which must be routed
here). Half of them stay silent, half send one byte of a STUN header every second. Prints {"opened": …, "closed": …} once all were
tried, and for each line on its standard input again: how many the server has ended by then.
"""

import asyncio
import json
import resource
import socket
import sys

CONNECTIONS_PER_SOURCE = 40
AT_ONCE = 200
TRY_S = 5
STUN_HEADER = b"\x00\x01\x00\x08\x21\x12\xa4\x42"


class Flood:
    def __init__(self, address: str, ports: list[int]) -> None:
        self.address, self.ports = address, ports
        self.opened = self.closed = 0
        self.slots = asyncio.Semaphore(AT_ONCE)

    async def connect(self, index: int) -> socket.socket | None:
        source = index // CONNECTIONS_PER_SOURCE
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((f"10.80.{source // 250}.{source % 250 + 1}", 0))
        target = (self.address, self.ports[index % len(self.ports)])
        async with self.slots:
            try:
                await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, target), TRY_S)
            except (OSError, asyncio.TimeoutError):
                sock.close()
                return None
        self.opened += 1
        return sock

    async def keep(self, index: int, sock: socket.socket) -> None:
        """Until the server ends it."""
        loop = asyncio.get_running_loop()
        try:
            if index % 2:
                for byte in STUN_HEADER * 30:
                    await loop.sock_sendall(sock, bytes([byte]))
                    await asyncio.sleep(1)
            else:
                while await loop.sock_recv(sock, 1):
                    pass
        except OSError:
            pass
        self.closed += 1
        sock.close()

    def say(self) -> None:
        print(json.dumps({"opened": self.opened, "closed": self.closed}), flush=True)


async def main() -> None:
    address, count, ports = sys.argv[1], int(sys.argv[2]), [int(port) for port in sys.argv[3:]]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 1_000), hard))
    flood = Flood(address, ports)
    keepers = set()

    async def one(index: int) -> None:
        sock = await flood.connect(index)
        if sock is not None:
            keepers.add(asyncio.create_task(flood.keep(index, sock)))

    await asyncio.gather(*(one(index) for index in range(count)))
    flood.say()
    while await asyncio.to_thread(sys.stdin.readline):
        flood.say()
    for keeper in keepers:
        keeper.cancel()


asyncio.run(main())
