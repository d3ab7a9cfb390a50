// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {StreamChain} from "../src/StreamChain.sol";
import {Crowd} from "./support/Crowd.sol";
import {Range} from "./support/Range.sol";
import {Vm} from "./support/Vm.sol";

/// @dev Whatever is called, by whom, in what order: what IStreamChain says always holds, holds. The judge is the event
/// log, which is all that a verifier has, together with the crowd's own book-keeping.
contract InvariantsTest {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    StreamChain internal chain;
    Crowd internal crowd;

    function setUp() public {
        chain = new StreamChain();
        crowd = new Crowd(chain);
    }

    /// @dev forge asks this: all random calls go to the crowd.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(crowd);
    }

    function invariant_AnchorsOfAStreamAreContiguousAndNeverOverlap() public view {
        for (uint256 i = 0; i < crowd.streamCount(); ++i) {
            Crowd.Run[] memory runs = crowd.runsOf(crowd.streamAt(i));
            uint256 expected = 0;
            for (uint256 j = 0; j < runs.length; ++j) {
                vm.assertTrue(runs[j].count > 0, "a run has messages");
                vm.assertEq(runs[j].firstSeq, expected, "a run begins where the one before it ended");
                expected += runs[j].count;
            }
        }
    }

    function invariant_NextSeqIsTheSumOfTheCounts() public view {
        for (uint256 i = 0; i < crowd.streamCount(); ++i) {
            bytes32 stream = crowd.streamAt(i);
            Crowd.Run[] memory runs = crowd.runsOf(stream);
            uint256 sum = 0;
            for (uint256 j = 0; j < runs.length; ++j) {
                sum += runs[j].count;
            }
            (, uint96 nextSeq) = chain.streams(stream);
            vm.assertEq(nextSeq, sum, "nextSeq");
        }
    }

    function invariant_TheAnchorerIsWhomTheOwnerNamedLast() public view {
        for (uint256 i = 0; i < crowd.streamCount(); ++i) {
            bytes32 stream = crowd.streamAt(i);
            (address anchorer,) = chain.streams(stream);
            vm.assertEq(anchorer, crowd.namedBy(stream), "anchorer");
        }
    }

    function invariant_NobodySpeaksForAStreamWithoutTheRight() public view {
        vm.assertEq(crowd.trespasses(), 0, "events that their sender had no right to");
    }

    function invariant_ACommitmentIsStoredOnceAndStays() public view {
        vm.assertEq(crowd.storedTwice(), 0, "commitments stored twice");
        for (uint256 i = 0; i < crowd.commitmentCount(); ++i) {
            vm.assertTrue(chain.storedAt(crowd.commitments(i)) != 0, "a commitment that was stored");
        }
    }

    /// @dev Every round that an event told of is in the range, as it was then and at its place; and nothing else is.
    function invariant_ARangeHasTheRoundsOfItsStreamAndNothingElse() public view {
        for (uint256 i = 0; i < crowd.streamCount(); ++i) {
            bytes32 stream = crowd.streamAt(i);
            Crowd.Run[] memory runs = crowd.runsOf(stream);
            uint256 rounds = crowd.roundsOf(stream);
            if (rounds == 0) {
                vm.assertEq(chain.peak(stream, 0), bytes32(0), "a stream without rounds has no range");
                continue;
            }
            vm.assertEq(runs.length, rounds, "a stream has runs or rounds, never both");
            bytes32[] memory roots = new bytes32[](rounds);
            for (uint256 j = 0; j < rounds; ++j) {
                roots[j] = runs[j].root;
            }
            bytes32[] memory leaves = Range.leavesOf(stream, roots);
            for (uint256 height = 0; rounds >> height != 0; ++height) {
                if (!Range.has(rounds, height)) continue;
                vm.assertEq(chain.peak(stream, height), Range.peakOf(leaves, height), "a peak");
            }
        }
    }

    /// @dev The invariants would also hold if nothing ever happened: it does.
    function test_TheCrowdGetsRunsAnchoredAndCallsRefused() public {
        for (uint32 i = 1; i <= 64; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(i)));
            crowd.anchor(dice, dice >> 16, dice >> 32, i, i);
            crowd.anchorStored(dice >> 7, dice >> 9, dice >> 40, i, i);
            crowd.anchorMany(dice, dice, [dice, dice >> 8, dice >> 16], i, i);
            crowd.anchorRound(dice, dice >> 16, dice >> 32, i, bytes32(dice));
        }
        vm.assertTrue(crowd.anchored() >= 16, "runs anchored");
        vm.assertTrue(crowd.commitmentCount() >= 8, "commitments stored");
        vm.assertTrue(crowd.rounds() >= 8, "rounds anchored");
        vm.assertTrue(crowd.refused() >= 16, "calls refused");
    }
}
