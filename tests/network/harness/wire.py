"""A wire between two TUN devices that delays packets and loses some: for kernels without netem.

    wire.py DEVICE DEVICE DELAY_MS LOSS_PERCENT SEED

Makes both devices, prints "ready", and carries what the one sends to the other until a device or its standard input goes away. A
device may be moved into another network namespace meanwhile. The same seed loses the same packets: the n-th of each
direction.
"""

import asyncio
import fcntl
import os
import random
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
# No four bytes of flags before each packet.
IFF_NO_PI = 0x1000

PACKET_MAX_BYTES = 65_535


def open_device(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


class Direction:
    """What goes from one device to the other, in order."""

    def __init__(self, source: int, target: int, delay_s: float, loss: float, seed: str, ended: asyncio.Event) -> None:
        self.source, self.target, self.ended = source, target, ended
        self.delay_s, self.loss = delay_s, loss
        self.random = random.Random(seed)

    def take(self) -> None:
        """Takes all that wait."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                packet = os.read(self.source, PACKET_MAX_BYTES)
            except BlockingIOError:
                return
            except OSError:
                # The device went with its network namespace.
                self.ended.set()
                return
            if self.random.random() >= self.loss:
                loop.call_later(self.delay_s, self.give, packet)

    def give(self, packet: bytes) -> None:
        try:
            os.write(self.target, packet)
        except OSError:
            # The device is down, or its queue is full: the packet is lost, as on any wire.
            pass


async def main() -> None:
    names, (delay_ms, loss_percent, seed) = sys.argv[1:3], sys.argv[3:6]
    devices = [open_device(name) for name in names]
    delay_s, loss = float(delay_ms) / 1_000, float(loss_percent) / 100
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for source, target in (devices, devices[::-1]):
        direction = Direction(source, target, delay_s, loss, f"{seed} {devices.index(source)}", ended)
        loop.add_reader(source, direction.take)

    def standard_input() -> None:
        if not os.read(0, 1):
            ended.set()

    loop.add_reader(0, standard_input)
    print("ready", flush=True)
    await ended.wait()


asyncio.run(main())
