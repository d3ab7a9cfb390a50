"""A StreamChain client on aiortc, written from docs/PROTOCOL.md alone.

    client.py https://edge STREAM [--authority CERTIFICATE.pem] [--expect-gap]

Opens a session, publishes, hears its messages stored; breaks off, comes back as the same producer and finds out what
is stored; then reads from the stream's beginning, and fetches by HTTP what the relay leaves out. Exits with 0 when
everything was as the protocol says. With --expect-gap it waits, before it comes back, for a line on its standard
input: somebody may restart the relay, which then no longer has the first messages.
"""

import argparse
import asyncio
import json
import os
import ssl
import sys
import urllib.request
from io import BytesIO

import cbor2
from aiortc import RTCPeerConnection, RTCSessionDescription

HELLO, PUBLISH, SUBSCRIBE = 1, 2, 3
WELCOME, MESSAGE, ACCEPTED, COMMITTED, GAP, ERROR = 16, 17, 18, 19, 22, 23

WAIT_S = 30


class Edge:
    """The edge's HTTP interface."""

    def __init__(self, url: str, authority: str | None) -> None:
        self.url = url
        self.context = ssl.create_default_context(cafile=authority)
        self.token: str | None = None

    async def request(self, method: str, path: str, body: bytes | None = None, **headers: str):
        request = urllib.request.Request(self.url + path, data=body, method=method)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        return await asyncio.to_thread(urllib.request.urlopen, request, context=self.context, timeout=WAIT_S)

    async def open_session(self, stream: str, offer: str) -> str:
        """The answer to an offer; a guest keeps the token that comes with it."""
        path = f"/v1/streams/{stream}/sessions"
        with await self.request("POST", path, offer.encode(), Content_Type="application/sdp") as response:
            assert response.status == 201, response.status
            self.token = response.headers.get("StreamChain-Access-Token") or self.token
            assert response.headers["Location"].startswith("/v1/sessions/")
            return response.read().decode()

    async def messages(self, stream: str, start: int) -> dict:
        with await self.request("GET", f"/v1/streams/{stream}/messages?from={start}") as response:
            return json.load(response)


class Session:
    """One peer connection with its data channel."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection()
        self.channel = self.peer.createDataChannel("streamchain", protocol="streamchain.v1")
        self.frames: asyncio.Queue = asyncio.Queue()
        self.opened = asyncio.Event()
        self.channel.on("open", self.opened.set)
        self.channel.on("message", self.take)
        if self.channel.readyState == "open":
            self.opened.set()

    def take(self, message: bytes) -> None:
        """A data-channel message holds one or more frames, one after the other."""
        stream = BytesIO(message)
        while stream.tell() < len(message):
            self.frames.put_nowait(cbor2.load(stream))

    def send(self, *frame) -> None:
        self.channel.send(cbor2.dumps(list(frame)))

    async def open(self, edge: Edge, stream: str) -> None:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        answer = await edge.open_session(stream, self.peer.localDescription.sdp)
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        await asyncio.wait_for(self.opened.wait(), WAIT_S)

    async def until(self, kind: int, wanted=lambda frame: True) -> list:
        """All frames up to the first of this kind that is wanted; kinds that are not known are passed over."""
        seen = []
        while True:
            frame = await asyncio.wait_for(self.frames.get(), WAIT_S)
            assert frame[0] != ERROR, frame
            seen.append(frame)
            if frame[0] == kind and wanted(frame):
                return seen

    async def close(self) -> None:
        await self.peer.close()


def of_kind(frames: list, kind: int) -> list:
    return [frame for frame in frames if frame[0] == kind]


async def publish_and_hear(edge: Edge, stream: str, producer: bytes) -> None:
    session = Session()
    await session.open(edge, stream)
    session.send(HELLO, producer)
    *_, welcome = await session.until(WELCOME)
    _, epoch, head, committed, stored, limits = welcome[:6]
    assert (head, committed, stored) == (0, 0, None), welcome
    assert limits["payload"] == 65_536, limits
    session.send(SUBSCRIBE, 0)
    for number in range(3):
        session.send(PUBLISH, number, f"python {number}".encode())
    frames = await session.until(COMMITTED, lambda frame: frame[1] == 3)
    heard = [(frame[2], frame[5]) for frame in of_kind(frames, MESSAGE)]
    assert heard == [(0, b"python 0"), (1, b"python 1"), (2, b"python 2")], heard
    assert all(frame[1] == epoch for frame in of_kind(frames, MESSAGE))
    assert [frame[1:3] for frame in of_kind(frames, ACCEPTED)] == [[0, 0], [1, 1], [2, 2]], frames
    print("published 3 messages, heard them live, and saw them stored", flush=True)
    await session.close()


async def come_back(edge: Edge, stream: str, producer: bytes, expect_gap: bool) -> None:
    session = Session()
    await session.open(edge, stream)
    session.send(HELLO, producer)
    *_, welcome = await session.until(WELCOME)
    assert welcome[4] == 2, "the last of our numbers that is stored"
    # A producer that did not get the answer sends what it is not sure of again, with the same numbers.
    for number in range(6):
        session.send(PUBLISH, number, f"python {number}".encode())
    session.send(SUBSCRIBE, 0)
    frames = await session.until(COMMITTED, lambda frame: frame[1] == 6)
    gaps = of_kind(frames, GAP)
    assert [frame[1:3] for frame in gaps] == ([[0, 3]] if expect_gap else []), gaps
    heard = {frame[2]: frame[5] for frame in of_kind(frames, MESSAGE)}
    for _, start, end in gaps:
        page = await edge.messages(stream, start)
        filled = {one["seq"]: bytes.fromhex(one["payload"][2:]) for one in page["messages"] if one["seq"] < end}
        heard.update(filled)
    assert heard == {number: f"python {number}".encode() for number in range(6)}, heard
    print(f"came back, sent 6 again of which 3 were stored, and read all 6 once ({len(gaps)} gaps)")
    await session.close()


async def read_what_is_gone(edge: Edge, stream: str) -> None:
    page = await edge.messages(stream, 0)
    assert (page["next"], page["head"]) == (6, 6), page
    texts = [bytes.fromhex(one["payload"][2:]) for one in page["messages"]]
    assert texts == [f"python {number}".encode() for number in range(6)], texts
    print("read the 6 stored messages by HTTP")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("edge")
    parser.add_argument("stream")
    parser.add_argument("--authority")
    parser.add_argument("--expect-gap", action="store_true")
    arguments = parser.parse_args()
    edge = Edge(arguments.edge, arguments.authority)
    producer = os.urandom(16)
    await publish_and_hear(edge, arguments.stream, producer)
    if arguments.expect_gap:
        await asyncio.to_thread(sys.stdin.readline)
    await come_back(edge, arguments.stream, producer, arguments.expect_gap)
    await read_what_is_gone(edge, arguments.stream)


asyncio.run(main())
