// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {IStreamChain} from "../src/IStreamChain.sol";
import {StreamChainTest} from "./support/StreamChainTest.sol";

/// @dev `emitMessages` and `emitDigests`: they ask for authority, not for continuity, and leave anchoring alone.
contract EmitTest is StreamChainTest {
    uint64 internal constant LAST = type(uint64).max;

    function messagesOf(uint256 count) internal pure returns (IStreamChain.Message[] memory messages) {
        messages = new IStreamChain.Message[](count);
        for (uint64 i = 0; i < count; ++i) {
            messages[i] = IStreamChain.Message({
                time: 1_767_225_600_000 + i,
                author: address(uint160(0xA000) + i),
                payload: abi.encodePacked("payload ", i)
            });
        }
    }

    function digestsOf(uint256 count) internal pure returns (bytes32[] memory digests) {
        digests = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            digests[i] = keccak256(abi.encode("digest", i));
        }
    }

    function bothRefuse(address sender, bytes32 stream, uint64 firstSeq, uint256 count, bytes memory refusal)
        internal
    {
        vm.expectRevert(refusal);
        vm.prank(sender);
        chain.emitMessages(stream, firstSeq, messagesOf(count));
        vm.expectRevert(refusal);
        vm.prank(sender);
        chain.emitDigests(stream, firstSeq, digestsOf(count));
    }

    function testFuzz_MessagesAreEmittedInOrderFromAnySeq(uint64 firstSeq, uint8 count) public {
        vm.assume(count != 0 && firstSeq <= LAST - count);
        anchor(ANCHORER, demo, 0, 7);
        IStreamChain.Message[] memory messages = messagesOf(count);
        for (uint64 i = 0; i < count; ++i) {
            vm.expectEmit(address(chain));
            emit IStreamChain.MessageEmitted(
                demo, firstSeq + i, messages[i].author, messages[i].time, messages[i].payload
            );
        }
        vm.prank(ANCHORER);
        chain.emitMessages(demo, firstSeq, messages);
        vm.assertEq(nextSeqOf(demo), 7, "anchoring is untouched");
    }

    function testFuzz_DigestsAreEmittedInOrderFromAnySeq(uint64 firstSeq, uint8 count) public {
        vm.assume(count != 0 && firstSeq <= LAST - count);
        anchor(ANCHORER, demo, 0, 7);
        bytes32[] memory digests = digestsOf(count);
        for (uint64 i = 0; i < count; ++i) {
            vm.expectEmit(address(chain));
            emit IStreamChain.DigestEmitted(demo, firstSeq + i, digests[i]);
        }
        vm.prank(ANCHORER);
        chain.emitDigests(demo, firstSeq, digests);
        vm.assertEq(nextSeqOf(demo), 7, "anchoring is untouched");
    }

    function test_TheLastSeqCanBeEmittedAndNothingBeyondIt() public {
        vm.expectEmit(address(chain));
        emit IStreamChain.DigestEmitted(demo, LAST, digestsOf(1)[0]);
        vm.prank(ANCHORER);
        chain.emitDigests(demo, LAST, digestsOf(1));

        bothRefuse(
            ANCHORER,
            demo,
            LAST,
            2,
            abi.encodeWithSelector(IStreamChain.SeqOutOfRange.selector, demo, LAST, 2)
        );
    }

    function testFuzz_AStrangerIsRefused(address stranger, uint64 firstSeq) public {
        vm.assume(stranger != ANCHORER);
        bytes memory refusal =
            abi.encodeWithSelector(IStreamChain.NotAnchorer.selector, demo, stranger, ANCHORER);
        bothRefuse(stranger, demo, firstSeq, 1, refusal);
    }

    function test_AStreamThatIsNotOpenIsRefused() public {
        bytes32 closed = idOf(OWNER, OTHER);
        bothRefuse(
            ANCHORER, closed, 0, 1, abi.encodeWithSelector(IStreamChain.StreamNotOpen.selector, closed)
        );
    }

    function test_AnEmptyBatchIsRefused() public {
        bothRefuse(ANCHORER, demo, 0, 0, abi.encodeWithSelector(IStreamChain.EmptyBatch.selector));
    }

    /// @dev The bound is exact, and holds wherever in the list the payload stands.
    function test_AMessagesPayloadIsBounded() public {
        uint256 maximum = 65_536;
        IStreamChain.Message[] memory messages = messagesOf(3);
        messages[2].payload = new bytes(maximum);
        vm.prank(ANCHORER);
        chain.emitMessages(demo, 0, messages);

        messages[2].payload = new bytes(maximum + 1);
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.PayloadTooLarge.selector, maximum + 1, maximum));
        vm.prank(ANCHORER);
        chain.emitMessages(demo, 0, messages);
    }
}
