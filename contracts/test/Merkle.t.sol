// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Vm} from "./support/Vm.sol";

/// @dev Checks test/vectors/merkle.json, which OpenZeppelin's JavaScript library wrote and which the Rust and TypeScript
/// tests read too, with OpenZeppelin's Solidity library: so all of them agree on leaves, roots and proofs.
contract MerkleTest {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    struct Message {
        bytes32 stream;
        uint64 seq;
        uint64 time;
        address author;
        bytes payload;
    }

    string internal json;

    function setUp() public {
        json = vm.readFile("test/vectors/merkle.json");
    }

    /// @dev The leaf as IStreamChain defines it.
    function leafOf(Message memory message) internal pure returns (bytes32) {
        bytes32 inner = keccak256(
            abi.encode(message.stream, message.seq, message.time, message.author, keccak256(message.payload))
        );
        return keccak256(bytes.concat(inner));
    }

    function itemAt(string memory list, uint256 index) internal pure returns (string memory) {
        return string.concat(list, "[", vm.toString(index), "]");
    }

    function streamOf(string memory path) internal view returns (bytes32 id) {
        string memory file = json;
        address owner = vm.parseJsonAddress(file, string.concat(path, ".stream.owner"));
        string memory name = vm.parseJsonString(file, string.concat(path, ".stream.name"));
        id = keccak256(abi.encode(owner, keccak256(bytes(name))));
        vm.assertEq(id, vm.parseJsonBytes32(file, string.concat(path, ".stream.id")), "stream id");
    }

    /// @dev A message, its leaf checked, and its two proofs.
    function messageAt(string memory path, bytes32 stream)
        internal
        view
        returns (
            Message memory message,
            bytes32[] memory segmentProof,
            bytes32[] memory proof,
            uint256 segment
        )
    {
        string memory file = json;
        message = Message({
            stream: stream,
            seq: uint64(vm.parseJsonUint(file, string.concat(path, ".seq"))),
            time: uint64(vm.parseJsonUint(file, string.concat(path, ".time"))),
            author: vm.parseJsonAddress(file, string.concat(path, ".author")),
            payload: vm.parseJsonBytes(file, string.concat(path, ".payload"))
        });
        vm.assertEq(
            leafOf(message),
            vm.parseJsonBytes32(file, string.concat(path, ".leaf")),
            string.concat("leaf of ", path)
        );
        segmentProof = vm.parseJsonBytes32Array(file, string.concat(path, ".segmentProof"));
        proof = vm.parseJsonBytes32Array(file, string.concat(path, ".proof"));
        segment = vm.parseJsonUint(file, string.concat(path, ".segment"));
    }

    function checkMessage(string memory casePath, bytes32 stream, bytes32 root, uint256 index) internal view {
        (Message memory message, bytes32[] memory segmentProof, bytes32[] memory proof, uint256 segment) =
            messageAt(itemAt(string.concat(casePath, ".messages"), index), stream);
        string memory segmentPath = itemAt(string.concat(casePath, ".segments"), segment);
        bytes32 segmentRoot = vm.parseJsonBytes32(json, string.concat(segmentPath, ".root"));
        vm.assertTrue(MerkleProof.verify(segmentProof, segmentRoot, leafOf(message)), "path in the segment");
        vm.assertTrue(MerkleProof.verify(proof, root, leafOf(message)), "joined path");
        checkForgeriesFail(message, proof, root);
    }

    /// @dev One change at a time of whatever a receipt claims.
    function checkForgeriesFail(Message memory message, bytes32[] memory proof, bytes32 root) internal pure {
        message.stream ^= bytes32(uint256(1));
        vm.assertFalse(MerkleProof.verify(proof, root, leafOf(message)), "another stream");
        message.stream ^= bytes32(uint256(1));

        message.seq ^= 1;
        vm.assertFalse(MerkleProof.verify(proof, root, leafOf(message)), "another seq");
        message.seq ^= 1;

        message.time ^= 1;
        vm.assertFalse(MerkleProof.verify(proof, root, leafOf(message)), "another time");
        message.time ^= 1;

        message.author = address(uint160(message.author) ^ 1);
        vm.assertFalse(MerkleProof.verify(proof, root, leafOf(message)), "another author");
        message.author = address(uint160(message.author) ^ 1);

        bytes memory payload = message.payload;
        message.payload = bytes.concat(payload, hex"00");
        vm.assertFalse(MerkleProof.verify(proof, root, leafOf(message)), "a byte more");
        message.payload = payload;
        if (payload.length > 0) {
            payload[payload.length / 2] ^= 0x01;
            vm.assertFalse(MerkleProof.verify(proof, root, leafOf(message)), "a changed byte");
            payload[payload.length / 2] ^= 0x01;
        }

        vm.assertFalse(MerkleProof.verify(proof, root ^ bytes32(uint256(1)), leafOf(message)), "another root");
        for (uint256 i = 0; i < proof.length; ++i) {
            proof[i] ^= bytes32(uint256(1));
            vm.assertFalse(MerkleProof.verify(proof, root, leafOf(message)), "a changed step");
            proof[i] ^= bytes32(uint256(1));
        }
        vm.assertTrue(MerkleProof.verify(proof, root, leafOf(message)), "as it was");
    }

    function checkCase(uint256 index) internal view {
        string memory path = itemAt(".cases", index);
        bytes32 stream = streamOf(path);
        bytes32 root = vm.parseJsonBytes32(json, string.concat(path, ".root"));
        uint256 checked = 0;
        while (vm.keyExistsJson(json, itemAt(string.concat(path, ".messages"), checked))) {
            checkMessage(path, stream, root, checked);
            ++checked;
        }
        vm.assertTrue(checked > 0, "a case has messages");
    }

    function test_EveryProofVerifiesAndEveryForgeryFails() public view {
        uint256 count = 0;
        while (vm.keyExistsJson(json, itemAt(".cases", count))) {
            checkCase(count);
            ++count;
        }
        vm.assertEq(count, 10, "cases");
    }

    /// @dev A leaf is the hash of a hash, so an inner node (64 bytes hashed once) can never pass for a message.
    function test_AnInnerNodeIsNoMessage() public view {
        string memory path = ".cases[1]";
        bytes32 root = vm.parseJsonBytes32(json, string.concat(path, ".root"));
        bytes32 left = vm.parseJsonBytes32(json, string.concat(path, ".messages[0].leaf"));
        bytes32 right = vm.parseJsonBytes32(json, string.concat(path, ".messages[1].leaf"));
        bytes memory pair = left < right ? abi.encode(left, right) : abi.encode(right, left);
        vm.assertEq(keccak256(pair), root, "the root is the hash of the sorted pair");
        vm.assertFalse(
            MerkleProof.verify(new bytes32[](0), root, keccak256(bytes.concat(keccak256(pair)))), "root"
        );
    }
}
