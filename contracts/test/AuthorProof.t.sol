// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {AuthorProof} from "../src/AuthorProof.sol";
import {StreamChainTest} from "./support/StreamChainTest.sol";
import {AuthorChecker, SignedVectors} from "./support/SignedVectors.sol";

/// @dev `AuthorProof`: everything that authors signed is proven, and nothing else is. WebCrypto, Rust and this library judge
/// the same vectors alike; test/vectors/signed.mjs and forgeries.mjs explain them.
contract AuthorProofTest is StreamChainTest, SignedVectors {
    AuthorChecker internal checker;

    function setUp() public override {
        super.setUp();
        checker = new AuthorChecker();
    }

    function test_KeysAreTheAuthorsOfTheVectors() public {
        readVectors("signed.json");
        for (uint256 i = 0; has(item(".keys", i)); ++i) {
            string memory key = item(".keys", i);
            address author = AuthorProof.authorOf(wordAt(textAt(key, "x")), wordAt(textAt(key, "y")));
            vm.assertEq(author, cheats.parseJsonAddress(json, textAt(key, "author")), "author");
        }
    }

    function test_SingleSignaturesAreJudgedAsByTheLibraries() public {
        readVectors("signed.json");
        uint256 valid = 0;
        for (uint256 i = 0; has(item(".signatures", i)); ++i) {
            string memory one = item(".signatures", i);
            (bytes32 r, bytes32 s) = halvesAt(textAt(one, "signature"));
            bytes32 digest = sha256(bytesAt(textAt(one, "preimage")));
            bool holds =
                AuthorProof.verifyDigest(digest, r, s, wordAt(textAt(one, "x")), wordAt(textAt(one, "y")));
            vm.assertEq(holds ? 1 : 0, cheats.parseJsonBool(json, textAt(one, "holds")) ? 1 : 0, one);
            if (holds) ++valid;
        }
        vm.assertEq(valid, 2, "as signed, and with the other s");
    }

    function test_GroupsOfTheVectorsAreProvenMessageByMessage() public {
        readVectors("signed.json");
        for (uint256 i = 0; has(item(".groups", i)); ++i) {
            string memory group = item(".groups", i);
            for (uint256 j = 0; has(item(textAt(group, "proofs"), j)); ++j) {
                string memory way = item(textAt(group, "proofs"), j);
                uint256 index = numberAt(textAt(way, "index"));
                AuthorProof.Signature memory signed = groupAt(group);
                signed.producerSeq = uint64(signed.first + index);
                signed.path = cheats.parseJsonBytes32Array(json, textAt(way, "proof"));
                bytes32 hash = keccak256(bytesAt(item(textAt(group, "payloads"), index)));
                bytes32 stream = wordAt(textAt(group, "stream"));
                address author = cheats.parseJsonAddress(json, textAt(group, "author"));
                vm.assertTrue(checker.verifyAuthor(stream, author, hash, signed), way);
                vm.assertFalse(checker.verifyAuthor(stream, author, keccak256("else"), signed), "content");
                vm.assertFalse(checker.verifyAuthor(stream, STRANGER, hash, signed), "another author");
            }
        }
    }

    function groupAt(string memory group) internal view returns (AuthorProof.Signature memory signed) {
        (signed.x, signed.y) = (wordAt(textAt(group, "x")), wordAt(textAt(group, "y")));
        (signed.r, signed.s) = halvesAt(textAt(group, "signature"));
        signed.producer = bytes16(bytesAt(textAt(group, "producer")));
        signed.first = uint64(numberAt(textAt(group, "first")));
        signed.count = uint32(numberAt(textAt(group, "count")));
        signed.previous = wordAt(textAt(group, "previous"));
    }

    /// @dev Of the receipts that hold, those whose author is the key are proven; no other one is.
    function test_EveryForgeryOfTheTableIsFound() public {
        readVectors("author-claims.json");
        uint256 proven = 0;
        uint256 found = 0;
        for (uint256 i = 0; has(item(".claims", i)); ++i) {
            string memory claim = item(".claims", i);
            (bytes32 stream, address author, bytes32 hash, AuthorProof.Signature memory signed) = abi.decode(
                bytesAt(textAt(claim, "encoded")), (bytes32, address, bytes32, AuthorProof.Signature)
            );
            bool holds = checker.verifyAuthor(stream, author, hash, signed);
            bool expected = cheats.parseJsonBool(json, textAt(claim, "proven"));
            vm.assertEq(holds ? 1 : 0, expected ? 1 : 0, claim);
            if (holds) ++proven;
            else ++found;
        }
        vm.assertEq(proven, 5, "receipts of authors who are their keys");
        vm.assertTrue(found > 40, "forgeries");
    }

    /// @dev A true signature of a message of a group of four.
    function signedBy(uint256 secret)
        internal
        view
        returns (bytes32 stream, address author, bytes32 hash, AuthorProof.Signature memory signed)
    {
        (stream, hash) = (keccak256("stream"), keccak256("payload"));
        (uint256 x, uint256 y) = vm.publicKeyP256(secret);
        (signed.x, signed.y) = (bytes32(x), bytes32(y));
        author = AuthorProof.authorOf(signed.x, signed.y);
        (signed.producer, signed.first, signed.count, signed.producerSeq) = ("producer", 8, 4, 9);
        signed.previous = keccak256("previous");
        signed.path = new bytes32[](2);
        (signed.path[0], signed.path[1]) = (keccak256("sibling"), keccak256("others"));
        (signed.r, signed.s) = vm.signP256(secret, digestOf(stream, author, hash, signed));
    }

    function digestOf(bytes32 stream, address author, bytes32 hash, AuthorProof.Signature memory signed)
        internal
        pure
        returns (bytes32)
    {
        bytes32 node = keccak256(bytes.concat(keccak256(abi.encode(signed.producerSeq, hash))));
        for (uint256 i = 0; i < signed.path.length; ++i) {
            (bytes32 low, bytes32 high) =
                node < signed.path[i] ? (node, signed.path[i]) : (signed.path[i], node);
            node = keccak256(abi.encode(low, high));
        }
        return sha256(
            bytes.concat(
                bytes.concat("streamchain/group/v1", stream, bytes20(author), signed.producer),
                bytes.concat(bytes8(signed.first), bytes4(signed.count), signed.previous, node)
            )
        );
    }

    /// @dev Any bit of any field that is another makes it false.
    function testFuzz_NoForgeryIsProven(uint256 secret, uint256 dice) public view {
        secret = 1 + secret % type(uint128).max;
        (bytes32 stream, address author, bytes32 hash, AuthorProof.Signature memory signed) = signedBy(secret);
        vm.assertTrue(checker.verifyAuthor(stream, author, hash, signed), "as it is");
        (uint256 kind, uint256 bit) = (dice % 14, uint256(1) << ((dice >> 8) % 256));
        bytes32 bits = bytes32(bit);
        if (kind == 0) stream ^= bits;
        else if (kind == 1) author = address(uint160(author) ^ uint160(bit >> 96 | bit));
        else if (kind == 2) hash ^= bits;
        else if (kind == 3) signed.x ^= bits;
        else if (kind == 4) signed.y ^= bits;
        else if (kind == 5) signed.r ^= bits;
        else if (kind == 6) signed.s ^= bits;
        else if (kind == 7) signed.producer ^= bytes16(uint128(bit >> 128 | bit));
        else if (kind == 8) signed.producerSeq ^= uint64(bit % type(uint64).max);
        else if (kind == 9) signed.first ^= uint64(bit % type(uint64).max);
        else if (kind == 10) signed.count ^= uint32(bit % type(uint32).max);
        else if (kind == 11) signed.previous ^= bits;
        else if (kind == 12) signed.path[(dice >> 16) % 2] ^= bits;
        else signed.path = new bytes32[]((dice >> 16) % 20);
        vm.assertFalse(checker.verifyAuthor(stream, author, hash, signed), "a forgery");
    }

    /// @dev A key that is not the author's signs validly in the author's name: it is for the caller to know the key.
    function test_AnothersKeyIsNotTheAuthor() public view {
        (bytes32 stream,, bytes32 hash, AuthorProof.Signature memory signed) = signedBy(7);
        (signed.r, signed.s) = vm.signP256(7, digestOf(stream, STRANGER, hash, signed));
        vm.assertTrue(checker.verifySignature(stream, STRANGER, hash, signed), "the key signed it");
        vm.assertFalse(checker.verifyAuthor(stream, STRANGER, hash, signed), "the key is not the author");
    }

    /// @dev What a contract pays for the check: execution, and the calldata of the author's part, of a group of 256.
    function test_CheckingAnAuthorCostsAtMost25000() public {
        (bytes32 stream, address author, bytes32 hash, AuthorProof.Signature memory signed) = signedBy(7);
        signed.path = new bytes32[](8);
        for (uint256 i = 0; i < 8; ++i) {
            signed.path[i] = keccak256(abi.encode("sibling", i));
        }
        (signed.r, signed.s) = vm.signP256(7, digestOf(stream, author, hash, signed));
        bytes memory input = abi.encodeCall(checker.verifyAuthor, (stream, author, hash, signed));
        uint256 gas = 0;
        for (uint256 i = 0; i < input.length; ++i) {
            gas += input[i] == 0 ? 4 : 16;
        }
        vm.assertTrue(checker.verifyAuthor(stream, author, hash, signed), "proven");
        gas += vm.lastCallGas().gasTotalUsed;
        vm.assertLe(gas, 25_000, "gas of a check with its calldata");
        vm.snapshotValue("AuthorProof", "verifyAuthor in a group of 256, with its calldata", gas);
    }
}
