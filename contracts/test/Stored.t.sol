// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {IStreamChain} from "../src/IStreamChain.sol";
import {StreamChainTest} from "./support/StreamChainTest.sol";
import {Vectors} from "./support/Vectors.sol";

/// @dev `anchorStored` and `verify`: what is anchored so can be proven to a contract, and nothing else can.
contract StoredTest is StreamChainTest, Vectors {
    /// @dev Whose streams the vectors' are.
    address internal constant VECTOR_OWNER = 0x70997970C51812dc3A010C7d01b50e0d17dc79C8;

    function setUp() public override {
        super.setUp();
        readVectors();
        openStream(VECTOR_OWNER, keccak256("demo"), ANCHORER);
        openStream(VECTOR_OWNER, keccak256("a-b.c_9"), ANCHORER);
    }

    function anchorStored(address sender, IStreamChain.Anchor[] memory runs) internal returns (bytes32) {
        vm.prank(sender);
        return chain.anchorStored(runs);
    }

    /// @dev A run of one message and the claim and proof that belong to it: its root is the message's leaf.
    function oneMessage(bytes32 stream, uint64 seq, address author)
        internal
        pure
        returns (
            IStreamChain.Anchor memory run,
            IStreamChain.Claim memory message,
            IStreamChain.Proof memory proof
        )
    {
        message = IStreamChain.Claim({seq: seq, time: 1, author: author, payloadHash: keccak256("hi")});
        bytes32 leaf = keccak256(
            bytes.concat(keccak256(abi.encode(stream, seq, message.time, author, message.payloadHash)))
        );
        run = IStreamChain.Anchor({stream: stream, firstSeq: seq, count: 1, root: leaf});
        proof =
            IStreamChain.Proof({firstSeq: seq, count: 1, path: new bytes32[](0), setPath: new bytes32[](0)});
    }

    function one(IStreamChain.Anchor memory run) internal pure returns (IStreamChain.Anchor[] memory runs) {
        runs = new IStreamChain.Anchor[](1);
        runs[0] = run;
    }

    function test_EveryMessageOfEverySetIsProvenAndEveryForgeryIsNot() public {
        uint256 sets = 0;
        while (has(item(".sets", sets))) {
            setUp(); // every set begins on a new contract
            checkSet(sets);
            ++sets;
        }
        vm.assertEq(sets, 4, "sets");
    }

    function checkSet(uint256 index) internal {
        string memory path = item(".sets", index);
        IStreamChain.Anchor[] memory runs = setRuns(index);
        bytes32 expected = wordAt(string.concat(path, ".commitment"));
        vm.expectEmit(address(chain));
        emit IStreamChain.AnchorsStored(expected, runs.length);
        vm.assertEq(anchorStored(ANCHORER, runs), expected, "commitment");
        for (uint256 i = 0; i < runs.length; ++i) {
            string memory runPath = item(string.concat(path, ".runs"), i);
            string memory messages =
                string.concat(item(".cases", numberAt(string.concat(runPath, ".case"))), ".messages");
            for (uint256 j = 0; has(item(messages, j)); ++j) {
                string memory at = item(messages, j);
                checkMessage(runs[i], claimAt(at), proofAt(at, runs[i], runPath));
            }
        }
    }

    /// @dev Proven as it is, and with any one thing changed not.
    function checkMessage(
        IStreamChain.Anchor memory run,
        IStreamChain.Claim memory message,
        IStreamChain.Proof memory proof
    ) internal view {
        bytes32 stream = run.stream;
        vm.assertTrue(chain.verify(stream, message, proof), "as it is");
        vm.assertFalse(chain.verify(stream ^ bytes32(uint256(1)), message, proof), "another stream");
        message.seq ^= 1;
        vm.assertFalse(chain.verify(stream, message, proof), "another seq");
        message.seq ^= 1;
        message.time ^= 1;
        vm.assertFalse(chain.verify(stream, message, proof), "another time");
        message.time ^= 1;
        message.author = address(uint160(message.author) ^ 1);
        vm.assertFalse(chain.verify(stream, message, proof), "another author");
        message.author = address(uint160(message.author) ^ 1);
        message.payloadHash ^= bytes32(uint256(1));
        vm.assertFalse(chain.verify(stream, message, proof), "another payload");
        message.payloadHash ^= bytes32(uint256(1));
        ++proof.count;
        vm.assertFalse(chain.verify(stream, message, proof), "a longer run");
        --proof.count;
        proof.firstSeq ^= 1;
        vm.assertFalse(chain.verify(stream, message, proof), "a run that begins elsewhere");
        proof.firstSeq ^= 1;
        if (proof.path.length > 0) {
            proof.path[0] ^= bytes32(uint256(1));
            vm.assertFalse(chain.verify(stream, message, proof), "another path");
            proof.path[0] ^= bytes32(uint256(1));
        }
        if (proof.setPath.length > 0) {
            proof.setPath[0] ^= bytes32(uint256(1));
            vm.assertFalse(chain.verify(stream, message, proof), "another path in the set");
            proof.setPath[0] ^= bytes32(uint256(1));
        }
        vm.assertTrue(chain.verify(stream, message, proof), "as it was");
    }

    function test_NothingIsProvenByAnAnchorThatStoresNothing() public {
        (IStreamChain.Anchor memory run, IStreamChain.Claim memory message, IStreamChain.Proof memory proof) =
            oneMessage(demo, 0, STRANGER);
        vm.prank(ANCHORER);
        chain.anchor(one(run));
        vm.assertFalse(chain.verify(demo, message, proof), "anchored, not stored");
    }

    function testFuzz_TheTimeOfTheBlockIsStored(uint32 time) public {
        vm.assume(time != 0);
        vm.warp(time);
        bytes32 commitment = anchorStored(ANCHORER, batchOf(demo, 0, 3));
        vm.assertEq(chain.storedAt(commitment), time, "storedAt");
        vm.assertEq(chain.storedAt(commitment ^ bytes32(uint256(1))), 0, "something else");
    }

    /// @dev Whoever anchors a stream of their own with roots of their choosing proves nothing about another's stream.
    function testFuzz_NobodySpeaksForAnothersStream(address author, uint64 seq) public {
        vm.assume(seq < type(uint64).max);
        bytes32 own = openStream(STRANGER, OTHER, STRANGER);
        pretendAnchored(own, seq);
        (IStreamChain.Anchor memory run, IStreamChain.Claim memory message, IStreamChain.Proof memory proof) =
            oneMessage(demo, seq, author);
        // The root is that of a message of `demo`; the stream can only be the stranger's own.
        run.stream = own;
        anchorStored(STRANGER, one(run));
        vm.assertFalse(chain.verify(demo, message, proof), "for the stream of another");
        vm.assertFalse(chain.verify(own, message, proof), "for their own: the leaf names the stream");
        // The same under a second run, with the first one's leaf as a step of the path.
        run.stream = demo;
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.NotAnchorer.selector, demo, STRANGER, ANCHORER));
        anchorStored(STRANGER, one(run));
    }

    function testFuzz_AMessageBesideItsRunIsNotProven(uint64 firstSeq, uint32 count) public {
        vm.assume(firstSeq != 5);
        (IStreamChain.Anchor memory run, IStreamChain.Claim memory message, IStreamChain.Proof memory proof) =
            oneMessage(demo, 5, STRANGER);
        pretendAnchored(demo, 5);
        anchorStored(ANCHORER, one(run));
        vm.assertTrue(chain.verify(demo, message, proof), "the run as it is");
        (proof.firstSeq, proof.count) = (firstSeq, count);
        vm.assertFalse(chain.verify(demo, message, proof), "another run");
    }

    /// @dev An anchorer may put any root on chain, but not a root over seqs beside the run it names.
    function testFuzz_ALeafOfASeqOutsideTheRunIsNotProven(uint64 seq) public {
        vm.assume(seq != 0);
        (IStreamChain.Anchor memory run, IStreamChain.Claim memory message, IStreamChain.Proof memory proof) =
            oneMessage(demo, seq, STRANGER);
        (run.firstSeq, proof.firstSeq) = (0, 0);
        anchorStored(ANCHORER, one(run));
        vm.assertFalse(chain.verify(demo, message, proof), "its seq is not in the run");
    }

    function testFuzz_RunsFollowOneAnotherWhicheverWayTheyAreAnchored(uint32[] memory counts) public {
        uint64 next = 0;
        for (uint256 i = 0; i < counts.length; ++i) {
            if (counts[i] == 0) continue;
            if (counts[i] % 2 == 0) anchor(ANCHORER, demo, next, counts[i]);
            else anchorStored(ANCHORER, batchOf(demo, next, counts[i]));
            next += counts[i];
            vm.assertEq(nextSeqOf(demo), next, "nextSeq");
        }
    }

    function test_NoRunsAreRefused() public {
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.EmptyBatch.selector));
        anchorStored(ANCHORER, new IStreamChain.Anchor[](0));
    }

    function test_AnEmptyRunIsRefused() public {
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.EmptyRun.selector, demo, 0));
        anchorStored(ANCHORER, batchOf(demo, 0, 0));
    }

    function testFuzz_AStrangerIsRefused(address stranger) public {
        vm.assume(stranger != ANCHORER);
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.NotAnchorer.selector, demo, stranger, ANCHORER));
        anchorStored(stranger, batchOf(demo, 0, 1));
    }

    function test_AStreamThatIsNotOpenIsRefused() public {
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.StreamNotOpen.selector, bytes32(0)));
        anchorStored(ANCHORER, batchOf(0, 0, 1));
    }

    function testFuzz_GapsAndOverlapsAreRefused(uint32 anchored, uint64 firstSeq) public {
        vm.assume(anchored != 0 && firstSeq != anchored);
        anchorStored(ANCHORER, batchOf(demo, 0, anchored));
        bytes4 kind = firstSeq > anchored ? IStreamChain.Gap.selector : IStreamChain.Overlap.selector;
        vm.expectRevert(abi.encodeWithSelector(kind, demo, anchored, firstSeq));
        anchorStored(ANCHORER, batchOf(demo, firstSeq, 1));
    }

    function test_NothingBeyondTheLastSeqIsAnchored() public {
        uint64 last = type(uint64).max;
        pretendAnchored(demo, last);
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.SeqOutOfRange.selector, demo, last, 2));
        anchorStored(ANCHORER, batchOf(demo, last, 2));
    }

    function test_ASetIsStoredWholeOrNotAtAll() public {
        vm.expectRevert(abi.encodeWithSelector(IStreamChain.Gap.selector, demo, 3, 4));
        anchorStored(ANCHORER, batchOf(anchorOf(demo, 0, 3), anchorOf(demo, 4, 1)));
        vm.assertEq(nextSeqOf(demo), 0, "the good run is undone too");
    }
}
