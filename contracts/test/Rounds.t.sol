// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {IStreamChain} from "../src/IStreamChain.sol";
import {Range} from "./support/Range.sol";
import {StreamChainTest} from "./support/StreamChainTest.sol";

/// @dev `anchorRound`: who may, which round is next, and what the range's peaks are afterwards. `demo` is the stream of
/// rounds here.
contract RoundsTest is StreamChainTest {
    function anchorRound(address sender, bytes32 stream, uint64 round, bytes32 root) internal {
        vm.prank(sender);
        chain.anchorRound(stream, round, root);
    }

    function rootAt(uint256 seed, uint64 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("root", seed, round));
    }

    /// @dev Anchors rounds until there are so many, with the roots of `rootAt`; returns those of all rounds.
    function anchorRounds(uint256 seed, uint64 from, uint64 to) internal returns (bytes32[] memory roots) {
        for (uint64 round = from; round < to; ++round) {
            anchorRound(ANCHORER, demo, round, rootAt(seed, round));
        }
        roots = new bytes32[](to);
        for (uint64 round = 0; round < to; ++round) {
            roots[round] = rootAt(seed, round);
        }
    }

    function assertPeaks(bytes32 stream, bytes32[] memory roots) internal view {
        bytes32[] memory leaves = Range.leavesOf(stream, roots);
        for (uint256 height = 0; height <= 64; ++height) {
            bytes32 peak = chain.peak(stream, height);
            if (roots.length >> height == 0) {
                vm.assertEq(peak, bytes32(0), "a peak that was never made");
            } else if (Range.has(roots.length, height)) {
                vm.assertEq(peak, Range.peakOf(leaves, height), "a peak");
            } else {
                // Merged since: the left child of a node above it.
                uint256 begin = Range.beginOf(roots.length, height) - (1 << (height + 1));
                bytes32 merged = Range.nodeAt(leaves, begin, height);
                vm.assertEq(peak, merged, "a peak that was merged");
            }
        }
    }

    function test_ARoundIsAnchoredAsOneMessage() public {
        vm.expectEmit(address(chain));
        emit IStreamChain.Anchored(demo, ANCHORER, 0, 1, ROOT);
        anchorRound(ANCHORER, demo, 0, ROOT);
        vm.assertEq(nextSeqOf(demo), 1, "nextSeq");
        vm.assertEq(anchorerOf(demo), ANCHORER, "anchorer");
        vm.assertEq(chain.peak(demo, 0), Range.leafOf(demo, 0, ROOT), "the leaf is the first peak");
    }

    function test_PeaksEqualTheReferenceAfterEachOf70Rounds() public {
        for (uint64 count = 1; count <= 70; ++count) {
            assertPeaks(demo, anchorRounds(1, count - 1, count));
        }
    }

    function testFuzz_PeaksEqualTheReferenceForAnyNumberOfRounds(uint8 count, uint256 seed) public {
        assertPeaks(demo, anchorRounds(seed, 0, count));
    }

    /// @dev Far beyond what a test can anchor: the carry is a matter of the number's bits alone.
    function testFuzz_ARoundOfAnyNumberMergesThePeaksBelowIt(uint64 round, uint256 seed) public {
        anchorRound(ANCHORER, demo, 0, ROOT);
        pretendRounds(demo, round);
        bytes32 expected = Range.leafOf(demo, round, rootAt(seed, round));
        uint256 height = 0;
        for (; height < 64 && Range.has(round, height); ++height) {
            bytes32 peak = keccak256(abi.encode("peak", seed, height));
            pretendPeak(demo, height, peak);
            expected = peak < expected
                ? keccak256(abi.encode(peak, expected))
                : keccak256(abi.encode(expected, peak));
        }
        bytes32 above = chain.peak(demo, height + 1);
        anchorRound(ANCHORER, demo, round, rootAt(seed, round));
        vm.assertEq(chain.peak(demo, height), expected, "the new peak");
        vm.assertEq(chain.peak(demo, height + 1), above, "the one above is untouched");
        for (uint256 below = 0; below < height; ++below) {
            vm.assertEq(chain.peak(demo, below), keccak256(abi.encode("peak", seed, below)), "one below");
        }
    }

    function test_TheLastRoundHasThePeakOfHeight64() public {
        anchorRound(ANCHORER, demo, 0, ROOT);
        uint64 last = type(uint64).max;
        pretendRounds(demo, last);
        anchorRound(ANCHORER, demo, last, ROOT);
        vm.assertTrue(chain.peak(demo, 64) != 0, "the highest peak");
        vm.assertEq(nextSeqOf(demo), uint256(last) + 1, "the stream is full");
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.Overlap.selector, demo, uint256(last) + 1, last));
        anchorRound(ANCHORER, demo, last, ROOT);
    }

    function testFuzz_ThereIsNoPeakAbove64(uint256 height) public view {
        vm.assume(height > 64);
        vm.assertEq(chain.peak(demo, height), bytes32(0), "peak");
    }

    function testFuzz_RoundsOfTwoStreamsAreApart(uint8 one, uint8 two) public {
        bytes32 other = openStream(OWNER, OTHER, STRANGER);
        bytes32[] memory roots = anchorRounds(1, 0, one % 40);
        bytes32[] memory others = new bytes32[](two % 40);
        for (uint64 round = 0; round < others.length; ++round) {
            others[round] = rootAt(2, round);
            anchorRound(STRANGER, other, round, others[round]);
        }
        assertPeaks(demo, roots);
        assertPeaks(other, others);
    }

    function testFuzz_AStrangerIsRefused(address stranger, uint64 round) public {
        vm.assume(stranger != ANCHORER);
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.NotAnchorer.selector, demo, stranger, ANCHORER));
        anchorRound(stranger, demo, round, ROOT);
    }

    function testFuzz_AStreamThatIsNotOpenIsRefused(address sender, bytes32 stream) public {
        vm.assume(stream != demo && sender != NOBODY);
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.StreamNotOpen.selector, stream));
        anchorRound(sender, stream, 0, ROOT);
    }

    function testFuzz_ARoundIsNeitherLeftOutNorAnchoredTwice(uint8 count, uint64 round) public {
        count %= 8;
        vm.assume(round != count);
        anchorRounds(1, 0, count);
        bytes4 kind = round > count ? IStreamChain.Gap.selector : IStreamChain.Overlap.selector;
        vm.expectRevert(abi.encodeWithSelector(kind, demo, count, round));
        anchorRound(ANCHORER, demo, round, ROOT);
    }

    function testFuzz_AStreamOfRunsTakesNoRound(uint32 count, bool stored) public {
        vm.assume(count != 0);
        vm.prank(ANCHORER);
        if (stored) chain.anchorStored(batchOf(demo, 0, count));
        else chain.anchor(batchOf(demo, 0, count));
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.StreamHasRuns.selector, demo));
        anchorRound(ANCHORER, demo, count, ROOT);
    }

    function testFuzz_AStreamOfRoundsTakesNoRun(uint8 count, bool stored) public {
        count = count % 8 + 1;
        anchorRounds(1, 0, count);
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.StreamHasRounds.selector, demo));
        vm.prank(ANCHORER);
        if (stored) chain.anchorStored(batchOf(demo, count, 1));
        else chain.anchor(batchOf(demo, count, 1));
    }

    function test_AnotherAnchorerGoesOnWithTheRounds() public {
        bytes32[] memory roots = anchorRounds(1, 0, 5);
        vm.prank(OWNER);
        chain.delegate(DEMO, STRANGER);
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.NotAnchorer.selector, demo, ANCHORER, STRANGER));
        anchorRound(ANCHORER, demo, 5, ROOT);
        anchorRound(STRANGER, demo, 5, rootAt(1, 5));
        assertPeaks(demo, append(roots, rootAt(1, 5)));
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.StreamHasRounds.selector, demo));
        anchor(STRANGER, demo, 6, 1);
    }

    function test_OneTransactionOpensAndAnchorsTheFirstRounds() public {
        bytes32 name = keccak256("_rounds");
        bytes32 id = idOf(ANCHORER, name);
        bytes[] memory calls = new bytes[](3);
        calls[0] = abi.encodeCall(chain.open, (name, ANCHORER));
        calls[1] = abi.encodeCall(chain.anchorRound, (id, 0, rootAt(1, 0)));
        calls[2] = abi.encodeCall(chain.anchorRound, (id, 1, rootAt(1, 1)));
        vm.prank(ANCHORER);
        chain.multicall(calls);
        bytes32[] memory roots = new bytes32[](2);
        (roots[0], roots[1]) = (rootAt(1, 0), rootAt(1, 1));
        assertPeaks(id, roots);
    }

    function append(bytes32[] memory roots, bytes32 root) internal pure returns (bytes32[] memory all) {
        all = new bytes32[](roots.length + 1);
        for (uint256 i = 0; i < roots.length; ++i) {
            all[i] = roots[i];
        }
        all[roots.length] = root;
    }
}
