// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {IStreamChain} from "../src/IStreamChain.sol";
import {StreamChainTest} from "./support/StreamChainTest.sol";

/// @dev Authority and continuity of `anchor`, and anchoring through `multicall`.
contract AnchorTest is StreamChainTest {
    bytes32 internal other;

    function setUp() public override {
        super.setUp();
        other = openStream(OWNER, OTHER, ANCHORER);
    }

    function testFuzz_RunsFollowOneAnother(uint32[] memory counts) public {
        uint64 next = 0;
        for (uint256 i = 0; i < counts.length; ++i) {
            if (counts[i] == 0) continue;
            vm.expectEmit(address(chain));
            emit IStreamChain.Anchored(demo, ANCHORER, next, counts[i], ROOT);
            anchor(ANCHORER, demo, next, counts[i]);
            next += counts[i];
            vm.assertEq(nextSeqOf(demo), next, "nextSeq");
        }
    }

    function testFuzz_ARunThatBeginsTooLateIsAGap(uint32 anchored, uint64 firstSeq, uint32 count) public {
        vm.assume(anchored != 0 && count != 0 && firstSeq > anchored);
        anchor(ANCHORER, demo, 0, anchored);
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.Gap.selector, demo, anchored, firstSeq));
        anchor(ANCHORER, demo, firstSeq, count);
    }

    function testFuzz_ARunThatBeginsTooEarlyOverlaps(uint32 anchored, uint64 firstSeq, uint32 count) public {
        vm.assume(anchored != 0 && count != 0);
        firstSeq %= anchored;
        anchor(ANCHORER, demo, 0, anchored);
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.Overlap.selector, demo, anchored, firstSeq));
        anchor(ANCHORER, demo, firstSeq, count);
    }

    function testFuzz_ARunOfNoMessagesIsRefused(uint64 firstSeq) public {
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.EmptyRun.selector, demo, firstSeq));
        anchor(ANCHORER, demo, firstSeq, 0);
    }

    function test_ABatchOfNoRunsIsRefused() public {
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.EmptyBatch.selector));
        vm.prank(ANCHORER);
        chain.anchor(new IStreamChain.Anchor[](0));
    }

    function testFuzz_AStrangerIsRefused(address stranger, uint64 firstSeq, uint32 count) public {
        vm.assume(stranger != ANCHORER && count != 0);
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.NotAnchorer.selector, demo, stranger, ANCHORER));
        anchor(stranger, demo, firstSeq, count);
    }

    function test_TheOwnerWhoDelegatedIsRefusedToo() public {
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.NotAnchorer.selector, demo, OWNER, ANCHORER));
        anchor(OWNER, demo, 0, 1);
    }

    function testFuzz_AStreamThatIsNotOpenIsRefused(address sender, bytes32 stream) public {
        vm.assume(stream != demo && stream != other && sender != NOBODY);
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.StreamNotOpen.selector, stream));
        anchor(sender, stream, 0, 1);
    }

    function testFuzz_ABatchAnchorsManyStreams(uint32 one, uint32 two) public {
        vm.assume(one != 0 && two != 0);
        vm.expectEmit(address(chain));
        emit IStreamChain.Anchored(demo, ANCHORER, 0, one, ROOT);
        vm.expectEmit(address(chain));
        emit IStreamChain.Anchored(other, ANCHORER, 0, two, ROOT);
        vm.prank(ANCHORER);
        chain.anchor(batchOf(anchorOf(demo, 0, one), anchorOf(other, 0, two)));
        vm.assertEq(nextSeqOf(demo), one, "demo");
        vm.assertEq(nextSeqOf(other), two, "other");
    }

    function test_ABatchMayHoldRunsOfOneStreamInOrder() public {
        vm.prank(ANCHORER);
        chain.anchor(batchOf(anchorOf(demo, 0, 3), anchorOf(demo, 3, 4)));
        vm.assertEq(nextSeqOf(demo), 7, "nextSeq");
    }

    function test_ABatchMayNotHoldOneRunTwice() public {
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.Overlap.selector, demo, 3, 0));
        vm.prank(ANCHORER);
        chain.anchor(batchOf(anchorOf(demo, 0, 3), anchorOf(demo, 0, 3)));
    }

    function test_ABatchIsAnchoredWholeOrNotAtAll() public {
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.Gap.selector, other, 0, 1));
        vm.prank(ANCHORER);
        chain.anchor(batchOf(anchorOf(demo, 0, 3), anchorOf(other, 1, 3)));
        vm.assertEq(nextSeqOf(demo), 0, "the good run is undone too");
    }

    function test_TheLastSeqCanBeAnchoredAndNothingBeyondIt() public {
        uint64 last = type(uint64).max;
        pretendAnchored(demo, last);

        vm.expectRevert(abi.encodeWithSelector(IStreamChain.SeqOutOfRange.selector, demo, last, 2));
        anchor(ANCHORER, demo, last, 2);

        anchor(ANCHORER, demo, last, 1);
        vm.assertEq(nextSeqOf(demo), uint256(last) + 1, "the stream is full");
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.Overlap.selector, demo, uint256(last) + 1, last));
        anchor(ANCHORER, demo, last, 1);
    }

    function test_OneTransactionOpensAndAnchors() public {
        bytes32 name = keccak256("new");
        bytes32 id = idOf(ANCHORER, name);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(chain.open, (name, ANCHORER));
        calls[1] = abi.encodeCall(chain.anchor, (batchOf(anchorOf(id, 0, 9), anchorOf(demo, 0, 2))));

        vm.prank(ANCHORER);
        bytes[] memory results = chain.multicall(calls);
        vm.assertEq(abi.decode(results[0], (bytes32)), id, "what open returned");
        vm.assertEq(results[1].length, 0, "anchor returns nothing");
        vm.assertEq(nextSeqOf(id), 9, "the new stream");
        vm.assertEq(nextSeqOf(demo), 2, "the old stream");
    }

    function test_MulticallLendsNobodyARight() public {
        bytes[] memory calls = new bytes[](1);
        calls[0] = abi.encodeCall(chain.anchor, (batchOf(demo, 0, 1)));
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.NotAnchorer.selector, demo, STRANGER, ANCHORER));
        vm.prank(STRANGER);
        chain.multicall(calls);
    }

    function test_MulticallIsDoneWholeOrNotAtAll() public {
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(chain.anchor, (batchOf(demo, 0, 1)));
        calls[1] = abi.encodeCall(chain.anchor, (batchOf(demo, 0, 1)));
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.Overlap.selector, demo, 1, 0));
        vm.prank(ANCHORER);
        chain.multicall(calls);
        vm.assertEq(nextSeqOf(demo), 0, "nextSeq");
    }
}
