// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {IStreamChain} from "../../src/IStreamChain.sol";
import {StreamChain} from "../../src/StreamChain.sol";
import {Vm} from "./Vm.sol";

/// @dev Four actors with three stream names each, who call everything, mostly as they may and often as they may not.
/// Every public function here is one random step; none of them reverts. What happened is read from the events alone.
contract Crowd {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @dev One anchored run, as its event tells it.
    struct Run {
        uint64 firstSeq;
        uint32 count;
        bytes32 root;
    }

    uint256 internal constant ACTORS = 4;
    uint256 internal constant NAMES = 3;

    StreamChain internal immutable chain;
    bytes32[] internal ids;
    mapping(bytes32 stream => address) internal ownerOf;
    mapping(bytes32 stream => Run[]) internal runs;

    /// @notice The anchorer a stream's owner named last; zero before that.
    mapping(bytes32 stream => address) public namedBy;
    /// @notice The commitments that were stored.
    bytes32[] public commitments;
    /// @notice How many commitments were stored that were there before.
    uint256 public storedTwice;
    mapping(bytes32 commitment => bool) internal known;
    /// @notice How many runs and rounds were anchored.
    uint256 public anchored;
    /// @notice How many rounds of a stream were anchored.
    mapping(bytes32 stream => uint256) public roundsOf;
    /// @notice How many rounds were anchored in all.
    uint256 public rounds;
    /// @notice How many calls reverted.
    uint256 public refused;
    /// @notice How many events a sender without the right to them brought about.
    uint256 public trespasses;

    constructor(StreamChain chain_) {
        chain = chain_;
        for (uint256 i = 0; i < ACTORS; ++i) {
            for (uint256 j = 0; j < NAMES; ++j) {
                bytes32 id = keccak256(abi.encode(actorAt(i), nameAt(j)));
                ids.push(id);
                ownerOf[id] = actorAt(i);
                // One name of each actor is left for the steps to open.
                if (j > 0) step(actorAt(i), abi.encodeCall(chain.open, (nameAt(j), actorAt(i + j))));
            }
        }
    }

    function open(uint256 actor, uint256 name, uint256 anchorer) external {
        step(actorAt(actor), abi.encodeCall(chain.open, (nameAt(name), maybeNobody(anchorer))));
    }

    function delegate(uint256 actor, uint256 name, uint256 anchorer) external {
        step(actorAt(actor), abi.encodeCall(chain.delegate, (nameAt(name), maybeNobody(anchorer))));
    }

    /// @dev One run, mostly a good one.
    function anchor(uint256 dice, uint256 actor, uint256 stream, uint64 firstSeq, uint32 count) external {
        bytes32 id = ids[stream % ids.length];
        address sender = dice % 4 == 0 ? actorAt(actor) : namedBy[id];
        IStreamChain.Anchor[] memory anchors = new IStreamChain.Anchor[](1);
        anchors[0] = runOf(dice >> 8, id, firstSeq, count);
        step(sender, abi.encodeCall(chain.anchor, (anchors)));
    }

    /// @dev The same, storing a commitment.
    function anchorStored(uint256 dice, uint256 actor, uint256 stream, uint64 firstSeq, uint32 count)
        external
    {
        bytes32 id = ids[stream % ids.length];
        address sender = dice % 4 == 0 ? actorAt(actor) : namedBy[id];
        IStreamChain.Anchor[] memory anchors = new IStreamChain.Anchor[](1 + (dice >> 4) % 2);
        anchors[0] = runOf(dice >> 8, id, firstSeq, count);
        if (anchors.length > 1) {
            anchors[1] = runOf(dice >> 16, ids[(stream >> 8) % ids.length], firstSeq, count);
        }
        step(sender, abi.encodeCall(chain.anchorStored, (anchors)));
    }

    /// @dev Several runs of any streams, often twice the same, by calls of their own or in one call, after an open.
    function anchorMany(uint256 dice, uint256 actor, uint256[3] memory streams, uint64 firstSeq, uint32 count)
        external
    {
        IStreamChain.Anchor[] memory anchors = new IStreamChain.Anchor[](streams.length);
        bytes[] memory calls = new bytes[](streams.length + 1);
        calls[0] = abi.encodeCall(chain.open, (nameAt(dice >> 4), actorAt(actor)));
        for (uint256 i = 0; i < streams.length; ++i) {
            anchors[i] = runOf(dice >> (8 * (i + 1)), ids[streams[i] % ids.length], firstSeq, count);
            IStreamChain.Anchor[] memory one = new IStreamChain.Anchor[](1);
            one[0] = anchors[i];
            calls[i + 1] = abi.encodeCall(chain.anchor, (one));
        }
        bytes memory together = abi.encodeCall(chain.anchor, (anchors));
        bytes memory apart = abi.encodeCall(chain.multicall, (calls));
        step(actorAt(actor), dice % 2 == 0 ? together : apart);
    }

    /// @dev One round, mostly a good one, of a few streams more often than of the others, so that ranges grow.
    function anchorRound(uint256 dice, uint256 actor, uint256 stream, uint64 round, bytes32 root) external {
        bytes32 id = ids[dice % 3 == 0 ? stream % ids.length : stream % 2];
        address sender = (dice >> 8) % 4 == 0 ? actorAt(actor) : namedBy[id];
        // A run of one message is what a round is, but for the call.
        uint64 next = runOf(dice >> 16, id, round, 1).firstSeq;
        if (step(sender, abi.encodeCall(chain.anchorRound, (id, next, root)))) {
            ++roundsOf[id];
            ++rounds;
        }
    }

    function publish(uint256 actor, uint256 stream, bytes memory payload) external {
        step(actorAt(actor), abi.encodeCall(chain.publish, (ids[stream % ids.length], payload)));
    }

    function emitMessages(
        uint256 actor,
        uint256 stream,
        uint64 firstSeq,
        IStreamChain.Message[] memory messages
    ) external {
        bytes32 id = ids[stream % ids.length];
        step(actorAt(actor), abi.encodeCall(chain.emitMessages, (id, firstSeq, messages)));
    }

    function emitDigests(uint256 actor, uint256 stream, uint64 firstSeq, bytes32[] memory digests) external {
        bytes32 id = ids[stream % ids.length];
        step(actorAt(actor), abi.encodeCall(chain.emitDigests, (id, firstSeq, digests)));
    }

    function anythingElse(uint256 actor, bytes memory input) external {
        step(actorAt(actor), input);
    }

    function streamCount() external view returns (uint256) {
        return ids.length;
    }

    function streamAt(uint256 index) external view returns (bytes32) {
        return ids[index];
    }

    function commitmentCount() external view returns (uint256) {
        return commitments.length;
    }

    function runsOf(bytes32 stream) external view returns (Run[] memory) {
        return runs[stream];
    }

    /// @dev Makes the call and books what its events say; returns whether it succeeded.
    function step(address sender, bytes memory input) internal returns (bool done) {
        vm.recordLogs();
        vm.prank(sender);
        (done,) = address(chain).call(input);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        if (!done) {
            // What was logged before the revert is undone with everything else.
            ++refused;
            return false;
        }
        for (uint256 i = 0; i < logs.length; ++i) {
            book(sender, logs[i]);
        }
    }

    function book(address sender, Vm.Log memory log) internal {
        bytes32 kind = log.topics[0];
        bytes32 stream = log.topics[1];
        if (kind == IStreamChain.Opened.selector) {
            (, address anchorer) = abi.decode(log.data, (bytes32, address));
            if (sender != ownerOf[stream] || namedBy[stream] != address(0)) ++trespasses;
            namedBy[stream] = anchorer;
        } else if (kind == IStreamChain.Delegated.selector) {
            if (sender != ownerOf[stream] || namedBy[stream] == address(0)) ++trespasses;
            namedBy[stream] = address(uint160(uint256(log.topics[2])));
        } else if (kind == IStreamChain.Anchored.selector) {
            (uint64 firstSeq, uint32 count, bytes32 root) = abi.decode(log.data, (uint64, uint32, bytes32));
            if (sender != namedBy[stream] || log.topics[2] != bytes32(uint256(uint160(sender)))) {
                ++trespasses;
            }
            runs[stream].push(Run({firstSeq: firstSeq, count: count, root: root}));
            ++anchored;
        } else if (kind == IStreamChain.AnchorsStored.selector) {
            if (known[stream]) ++storedTwice; // here the first topic is the commitment
            known[stream] = true;
            commitments.push(stream);
        } else if (kind == IStreamChain.Published.selector) {
            if (log.topics[2] != bytes32(uint256(uint160(sender)))) ++trespasses;
        } else {
            if (sender != namedBy[stream]) ++trespasses;
        }
    }

    /// @dev A run of a stream: as it should be, or with a random beginning, just beside the right one, or empty.
    function runOf(uint256 dice, bytes32 stream, uint64 firstSeq, uint32 count)
        internal
        view
        returns (IStreamChain.Anchor memory)
    {
        (, uint96 nextSeq) = chain.streams(stream);
        uint256 kind = dice % 8;
        if (kind == 0) count = 0;
        else if (kind < 7 && count == 0) count = 1;
        // forge-lint: disable-next-line(unsafe-typecast) a few thousand runs of at most 2^32 stay below 2^64
        if (kind != 1) firstSeq = uint64(nextSeq);
        if (kind == 2) ++firstSeq;
        if (kind == 3 && firstSeq > 0) --firstSeq;
        return IStreamChain.Anchor({stream: stream, firstSeq: firstSeq, count: count, root: bytes32(dice)});
    }

    function actorAt(uint256 index) internal pure returns (address) {
        return address(uint160(0xAC70_0001 + (index % ACTORS)));
    }

    function nameAt(uint256 index) internal pure returns (bytes32) {
        return keccak256(abi.encode("name", index % NAMES));
    }

    /// @dev Any actor, and now and then the zero address.
    function maybeNobody(uint256 index) internal pure returns (address) {
        return index % 16 == 15 ? address(0) : actorAt(index);
    }
}
