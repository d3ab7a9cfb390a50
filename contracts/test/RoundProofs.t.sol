// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {IStreamChain} from "../src/IStreamChain.sol";
import {Range} from "./support/Range.sol";
import {RoundVectors} from "./support/RoundVectors.sol";
import {StreamChainTest} from "./support/StreamChainTest.sol";

/// @dev `verifyInRound`: every message in a round is proven by its receipt, and nothing else is. The rounds are those of
/// test/vectors/rounds.json, which OpenZeppelin's library computed.
contract RoundProofsTest is StreamChainTest, RoundVectors {
    bytes32 internal rounds;
    IStreamChain.Claim[] internal claims;
    bytes32[] internal streamOf;
    bytes[] internal proofs;
    bytes32[] internal roots;

    function setUp() public override {
        super.setUp();
        readVectors();
        rounds = openStream(operator(), keccak256("_rounds"), ANCHORER);
        vm.assertEq(rounds, wordAt(".stream.id"), "the stream of rounds");
        for (uint64 round = 0; has(item(".rounds", round)); ++round) {
            roots.push(wordAt(string.concat(item(".rounds", round), ".root")));
            vm.prank(ANCHORER);
            chain.anchorRound(rounds, round, roots[round]);
        }
        for (uint256 i = 0; has(item(".receipts", i)); ++i) {
            string memory path = item(".receipts", i);
            streamOf.push(wordAt(string.concat(path, ".stream.id")));
            claims.push(claimAt(path));
            proofs.push(abi.encode(roundProofAt(path)));
        }
    }

    /// @dev A receipt of the vectors, as what the contract takes.
    function receiptAt(uint256 index)
        internal
        view
        returns (bytes32 stream, IStreamChain.Claim memory claim, IStreamChain.RoundProof memory proof)
    {
        return (streamOf[index], claims[index], abi.decode(proofs[index], (IStreamChain.RoundProof)));
    }

    function test_EveryReceiptIsProven() public view {
        vm.assertEq(claims.length, 22, "receipts");
        for (uint256 i = 0; i < claims.length; ++i) {
            (bytes32 stream, IStreamChain.Claim memory claim, IStreamChain.RoundProof memory proof) =
                receiptAt(i);
            vm.assertTrue(chain.verifyInRound(rounds, stream, claim, proof), "as it is");
        }
    }

    function test_PeaksEqualTheVectors() public view {
        string memory peaks = string.concat(item(".rounds", roots.length - 1), ".peaks");
        uint256 count = 0;
        for (; has(item(peaks, count)); ++count) {
            uint256 height = numberAt(string.concat(item(peaks, count), ".height"));
            vm.assertEq(
                chain.peak(rounds, height), wordAt(string.concat(item(peaks, count), ".hash")), "peak"
            );
        }
        vm.assertEq(count, 3, "eleven rounds have three peaks");
    }

    /// @dev However many rounds follow, each receipt is proven again by a longer path, and for as long as its peak stands
    /// by the one that it has.
    function testFuzz_AReceiptStaysProvableHoweverManyRoundsFollow(uint8 more) public {
        more %= 64;
        for (uint256 i = 0; i < more; ++i) {
            bytes32 root = keccak256(abi.encode("later", i));
            vm.prank(ANCHORER);
            chain.anchorRound(rounds, uint64(roots.length), root);
            roots.push(root);
        }
        bytes32[] memory leaves = Range.leavesOf(rounds, roots);
        for (uint256 i = 0; i < claims.length; ++i) {
            (bytes32 stream, IStreamChain.Claim memory claim, IStreamChain.RoundProof memory proof) =
                receiptAt(i);
            uint256 old = proof.rangePath.length;
            bool stands =
                chain.peak(rounds, old) == Range.nodeAt(leaves, (uint256(proof.round) >> old) << old, old);
            vm.assertEq(
                chain.verifyInRound(rounds, stream, claim, proof) ? 1 : 0, stands ? 1 : 0, "its own path"
            );
            uint256 height = Range.heightOver(proof.round, roots.length);
            proof.rangePath = Range.pathOf(leaves, proof.round, height);
            vm.assertTrue(chain.verifyInRound(rounds, stream, claim, proof), "a path to the peak of now");
        }
    }

    /// @dev The same proof under the rounds of somebody else, who anchored the very same roots.
    function test_AnothersRoundsProveNothingForTheseOnes() public {
        bytes32 others = openStream(STRANGER, keccak256("_rounds"), STRANGER);
        for (uint64 round = 0; round < roots.length; ++round) {
            vm.prank(STRANGER);
            chain.anchorRound(others, round, roots[round]);
        }
        (bytes32 stream, IStreamChain.Claim memory claim, IStreamChain.RoundProof memory proof) = receiptAt(3);
        vm.assertFalse(chain.verifyInRound(others, stream, claim, proof), "peaks name their stream");
    }

    function test_ARunThatIsAnchoredElsewhereProvesNothing() public {
        // The round's root, anchored as a run of an ordinary stream.
        bytes32 other = openStream(STRANGER, OTHER, STRANGER);
        IStreamChain.Anchor[] memory anchors = batchOf(other, 0, 1);
        anchors[0].root = roots[0];
        vm.prank(STRANGER);
        chain.anchor(anchors);
        (bytes32 stream, IStreamChain.Claim memory claim, IStreamChain.RoundProof memory proof) = receiptAt(0);
        vm.assertFalse(chain.verifyInRound(other, stream, claim, proof), "there is no range");
    }

    /// @dev 400 forgeries in each run: 102,400 by default, 800,000 with FOUNDRY_PROFILE=deep.
    function testFuzz_NoForgeryIsProven(uint256 seed) public view {
        for (uint256 i = 0; i < 400; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            (bytes32 stream, IStreamChain.Claim memory claim, IStreamChain.RoundProof memory proof) =
                receiptAt(dice % claims.length);
            bytes32 ofRounds = rounds;
            dice >>= 8;
            uint256 kind = dice % 6;
            if (kind == 0) (ofRounds, stream) = forgeStreams(dice >> 8, ofRounds, stream);
            else if (kind == 1) forgeClaim(dice >> 8, claim);
            else if (kind == 2) forgeNumbers(dice >> 8, proof);
            else if (kind == 3) forgeHash(dice >> 8, proof);
            else if (kind == 4) forgeLength(dice >> 8, proof);
            else forgeMix(dice >> 8, claim, proof);
            vm.assertFalse(chain.verifyInRound(ofRounds, stream, claim, proof), "a forgery");
        }
    }

    /// @dev Some bits, at least one of them, within so many.
    function bitsOf(uint256 dice, uint256 width) internal pure returns (uint256 bits) {
        bits = dice % 2 == 0 ? uint256(1) << ((dice >> 1) % width) : uint256(keccak256(abi.encode(dice)));
        if (width < 256) bits &= (uint256(1) << width) - 1;
        if (bits == 0) bits = 1;
    }

    function forgeStreams(uint256 dice, bytes32 ofRounds, bytes32 stream)
        internal
        view
        returns (bytes32, bytes32)
    {
        if (dice % 4 == 0) return (stream, ofRounds);
        if (dice % 4 == 1) return (ofRounds, streamOf[(dice >> 8) % streamOf.length] ^ bytes32(uint256(1)));
        bytes32 bits = bytes32(bitsOf(dice >> 8, 256));
        return dice % 4 == 2 ? (ofRounds ^ bits, stream) : (ofRounds, stream ^ bits);
    }

    function forgeClaim(uint256 dice, IStreamChain.Claim memory claim) internal pure {
        (uint256 kind, uint256 rest) = (dice % 4, dice >> 8);
        if (kind == 0) claim.seq ^= uint64(bitsOf(rest, 64));
        else if (kind == 1) claim.time ^= uint64(bitsOf(rest, 64));
        else if (kind == 2) claim.author = address(uint160(claim.author) ^ uint160(bitsOf(rest, 160)));
        else claim.payloadHash ^= bytes32(bitsOf(rest, 256));
    }

    function forgeNumbers(uint256 dice, IStreamChain.RoundProof memory proof) internal pure {
        (uint256 kind, uint256 rest) = (dice % 5, dice >> 8);
        if (kind == 0) proof.firstSeq ^= uint64(bitsOf(rest, 64));
        else if (kind == 1) proof.count ^= uint32(bitsOf(rest, 32));
        else if (kind == 2) proof.round ^= uint64(bitsOf(rest, 64));
        else if (kind == 3) proof.runs ^= uint32(bitsOf(rest, 32));
        else proof.previous ^= bytes32(bitsOf(rest, 256));
    }

    function forgeHash(uint256 dice, IStreamChain.RoundProof memory proof) internal pure {
        (uint256 kind, bytes32 bits) = (dice % 4, bytes32(bitsOf(dice >> 16, 256)));
        uint256 index = dice >> 8;
        if (kind == 1 && proof.path.length > 0) {
            proof.path[index % proof.path.length] ^= bits;
        } else if (kind == 2 && proof.runPath.length > 0) {
            proof.runPath[index % proof.runPath.length] ^= bits;
        } else if (kind == 3 && proof.rangePath.length > 0) {
            proof.rangePath[index % proof.rangePath.length] ^= bits;
        } else {
            proof.bucketPath[index % 8] ^= bits;
        }
    }

    /// @dev A path that is a hash longer, or shorter where it can be. A shorter path in the range can be a true one, to a
    /// peak that was merged since and still stands.
    function forgeLength(uint256 dice, IStreamChain.RoundProof memory proof) internal pure {
        (uint256 kind, bool longer, bytes32 extra) = (dice % 3, (dice >> 8) % 2 == 0, bytes32(dice));
        if (kind == 0) proof.path = resized(proof.path, longer, extra);
        else if (kind == 1) proof.runPath = resized(proof.runPath, longer, extra);
        else proof.rangePath = resized(proof.rangePath, true, extra);
    }

    function resized(bytes32[] memory path, bool longer, bytes32 extra)
        internal
        pure
        returns (bytes32[] memory other)
    {
        if (path.length == 0) longer = true;
        other = new bytes32[](longer ? path.length + 1 : path.length - 1);
        for (uint256 i = 0; i < other.length; ++i) {
            other[i] = i < path.length ? path[i] : extra;
        }
    }

    /// @dev A part of another receipt in this one: true hashes and numbers in the wrong place.
    function forgeMix(uint256 dice, IStreamChain.Claim memory claim, IStreamChain.RoundProof memory proof)
        internal
        view
    {
        uint256 index = (dice >> 8) % claims.length;
        (, IStreamChain.Claim memory other, IStreamChain.RoundProof memory donor) = receiptAt(index);
        if (other.seq == claim.seq && donor.round == proof.round) {
            // The same receipt, or one that shares too much with it: a sure forgery instead.
            proof.previous ^= bytes32(uint256(1));
        } else if (dice % 4 == 0) {
            (claim.seq, claim.time, claim.author, claim.payloadHash) =
            (other.seq, other.time, other.author, other.payloadHash ^ bytes32(uint256(1)));
        } else if (dice % 4 == 1) {
            // A run's leaf as a step of the message's path, which makes the run of what was a bucket.
            proof.path = joined(proof.path, proof.runPath);
            proof.runPath = new bytes32[](0);
            proof.count ^= 1;
        } else if (dice % 4 == 2) {
            proof.previous = donor.previous == proof.previous ? bytes32(dice) : donor.previous;
        } else {
            proof.round = donor.round == proof.round ? proof.round + 1 : donor.round;
        }
    }

    function joined(bytes32[] memory one, bytes32[] memory two) internal pure returns (bytes32[] memory all) {
        all = new bytes32[](one.length + two.length);
        for (uint256 i = 0; i < all.length; ++i) {
            all[i] = i < one.length ? one[i] : two[i - one.length];
        }
    }

    /// @dev An inner node of any tree, or a leaf of another kind, is no leaf of a message: leaves are hashed twice.
    function test_APathThatBeginsAtAnInnerNodeIsNotProven() public view {
        for (uint256 i = 0; i < claims.length; ++i) {
            (bytes32 stream, IStreamChain.Claim memory claim, IStreamChain.RoundProof memory proof) =
                receiptAt(i);
            if (proof.path.length == 0) continue;
            // What a forger would need: a message whose leaf is the node above the true one.
            proof.path = resized(proof.path, false, 0);
            vm.assertFalse(chain.verifyInRound(rounds, stream, claim, proof), "a step is missing");
        }
    }

    function testFuzz_AnythingIsAnsweredAndNothingReverts(bytes32 stream, uint256 length) public view {
        (, IStreamChain.Claim memory claim, IStreamChain.RoundProof memory proof) = receiptAt(0);
        proof.rangePath = new bytes32[](length % 200);
        vm.assertFalse(chain.verifyInRound(rounds, stream, claim, proof), "a path of any length");
    }
}
