"""A wire between two TUN devices that delays packets and loses some: for kernels without netem.

    wire.py DEVICE DEVICE DELAY_MS LOSS_PERCENT SEED [RECORD]

Makes both devices, prints "ready", and carries what the one sends to the other until a device or its standard input goes
away. A device may be moved into another network namespace meanwhile. The same seed loses the same packets: the n-th of
each direction. RECORD is a file for every packet that a device sent, lost ones too, with the time at which the wire took
it: in the format of libpcap, so any packet analyser shows it.
"""

import asyncio
import fcntl
import os
import random
import struct
import sys
import time
from typing import BinaryIO

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
# No four bytes of flags before each packet.
IFF_NO_PI = 0x1000

PACKET_MAX_BYTES = 65_535

# libpcap: its magic number for times in microseconds, its version, and the link type of bare IP packets.
PCAP_MAGIC = 0xA1B2C3D4
PCAP_VERSION = (2, 4)
LINKTYPE_RAW = 101


def open_device(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


class Record:
    """A file of packets; without a name it keeps nothing."""

    def __init__(self, name: str | None) -> None:
        self.file: BinaryIO | None = open(name, "wb", buffering=0) if name else None
        if self.file:
            self.file.write(struct.pack("=IHHiIII", PCAP_MAGIC, *PCAP_VERSION, 0, 0, PACKET_MAX_BYTES, LINKTYPE_RAW))

    def take(self, packet: bytes) -> None:
        if self.file:
            seconds, micros = divmod(time.time_ns() // 1_000, 1_000_000)
            self.file.write(struct.pack("=IIII", seconds, micros, len(packet), len(packet)) + packet)


class Direction:
    """What goes from one device to the other, in order."""

    def __init__(self, source: int, target: int, quality: tuple[float, float, str], record: Record, ended: asyncio.Event) -> None:
        self.source, self.target, self.record, self.ended = source, target, record, ended
        self.delay_s, self.loss, seed = quality
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
            self.record.take(packet)
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
    record = Record(sys.argv[6] if len(sys.argv) > 6 else None)
    devices = [open_device(name) for name in names]
    delay_s, loss = float(delay_ms) / 1_000, float(loss_percent) / 100
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for index, (source, target) in enumerate((devices, devices[::-1])):
        direction = Direction(source, target, (delay_s, loss, f"{seed} {index}"), record, ended)
        loop.add_reader(source, direction.take)

    def standard_input() -> None:
        if not os.read(0, 1):
            ended.set()

    loop.add_reader(0, standard_input)
    print("ready", flush=True)
    await ended.wait()


asyncio.run(main())
