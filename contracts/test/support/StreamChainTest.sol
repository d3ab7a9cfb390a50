// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {IStreamChain} from "../../src/IStreamChain.sol";
import {StreamChain} from "../../src/StreamChain.sol";
import {Vm} from "./Vm.sol";

/// @dev The scene most tests begin in: a deployed contract, an owner who has opened the stream "demo" for an anchorer,
/// and a stranger.
abstract contract StreamChainTest {
    /// @dev Where forge answers cheat codes.
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    address internal constant OWNER = address(0x0123);
    address internal constant ANCHORER = address(0x0A2C);
    address internal constant STRANGER = address(0x5742);
    address internal constant NOBODY = address(0);

    bytes32 internal constant DEMO = keccak256("demo");
    bytes32 internal constant OTHER = keccak256("other");
    bytes32 internal constant ROOT = keccak256("a root");

    StreamChain internal chain;
    /// @dev The id of OWNER's stream "demo".
    bytes32 internal demo;

    function setUp() public virtual {
        chain = new StreamChain();
        demo = openStream(OWNER, DEMO, ANCHORER);
    }

    function idOf(address owner, bytes32 nameHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(owner, nameHash));
    }

    function openStream(address owner, bytes32 nameHash, address anchorer) internal returns (bytes32) {
        vm.prank(owner);
        return chain.open(nameHash, anchorer);
    }

    function anchorOf(bytes32 stream, uint64 firstSeq, uint32 count)
        internal
        pure
        returns (IStreamChain.Anchor memory)
    {
        return IStreamChain.Anchor({stream: stream, firstSeq: firstSeq, count: count, root: ROOT});
    }

    /// @dev A batch of one run.
    function batchOf(bytes32 stream, uint64 firstSeq, uint32 count)
        internal
        pure
        returns (IStreamChain.Anchor[] memory anchors)
    {
        anchors = new IStreamChain.Anchor[](1);
        anchors[0] = anchorOf(stream, firstSeq, count);
    }

    /// @dev A batch of two runs.
    function batchOf(IStreamChain.Anchor memory one, IStreamChain.Anchor memory two)
        internal
        pure
        returns (IStreamChain.Anchor[] memory anchors)
    {
        anchors = new IStreamChain.Anchor[](2);
        (anchors[0], anchors[1]) = (one, two);
    }

    function anchor(address sender, bytes32 stream, uint64 firstSeq, uint32 count) internal {
        vm.prank(sender);
        chain.anchor(batchOf(stream, firstSeq, count));
    }

    function anchorerOf(bytes32 stream) internal view returns (address anchorer) {
        (anchorer,) = chain.streams(stream);
    }

    function nextSeqOf(bytes32 stream) internal view returns (uint96 nextSeq) {
        (, nextSeq) = chain.streams(stream);
    }

    /// @dev Sets how far a stream is anchored: the only way to the end of the seqs within a lifetime.
    function pretendAnchored(bytes32 stream, uint96 nextSeq) internal {
        bytes32 streamsSlot = 0;
        bytes32 slot = keccak256(abi.encode(stream, streamsSlot));
        vm.store(address(chain), slot, bytes32((uint256(nextSeq) << 160) | uint160(anchorerOf(stream))));
    }

    /// @dev Sets how many rounds a stream of rounds has; it must have one.
    function pretendRounds(bytes32 stream, uint96 count) internal {
        pretendAnchored(stream, count);
        bytes32 slot = keccak256(abi.encode(stream, bytes32(0)));
        uint256 flag = uint256(1) << 248;
        vm.store(address(chain), slot, bytes32(uint256(vm.load(address(chain), slot)) | flag));
    }

    /// @dev Sets the peak of a height.
    function pretendPeak(bytes32 stream, uint256 height, bytes32 peak) internal {
        bytes32 peaksSlot = bytes32(uint256(2));
        uint256 first = uint256(keccak256(abi.encode(stream, peaksSlot)));
        vm.store(address(chain), bytes32(first + height), peak);
    }
}
