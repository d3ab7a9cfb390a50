// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {IStreamChain} from "../../src/IStreamChain.sol";
import {JsonVectors} from "./JsonVectors.sol";

/// @dev Reads test/vectors/rounds.json as what the contract takes.
abstract contract RoundVectors is JsonVectors {
    function readVectors() internal {
        readVectors("rounds.json");
    }

    function wordsAt(string memory path) internal view returns (bytes32[] memory) {
        return cheats.parseJsonBytes32Array(json, path);
    }

    /// @dev The owner of the stream of rounds.
    function operator() internal view returns (address) {
        return cheats.parseJsonAddress(json, ".stream.owner");
    }

    /// @dev What a receipt says of its message.
    function claimAt(string memory receipt) internal view returns (IStreamChain.Claim memory) {
        string memory path = string.concat(receipt, ".message");
        return IStreamChain.Claim({
            seq: uint64(numberAt(string.concat(path, ".seq"))),
            time: uint64(numberAt(string.concat(path, ".time"))),
            author: cheats.parseJsonAddress(json, string.concat(path, ".author")),
            payloadHash: keccak256(cheats.parseJsonBytes(json, string.concat(path, ".payload")))
        });
    }

    /// @dev The way of a receipt from its message to a peak.
    function roundProofAt(string memory receipt)
        internal
        view
        returns (IStreamChain.RoundProof memory proof)
    {
        string memory part = string.concat(receipt, ".round");
        proof.firstSeq = uint64(numberAt(string.concat(part, ".run.first")));
        proof.count = uint32(numberAt(string.concat(part, ".run.count")));
        proof.previous = wordAt(string.concat(part, ".run.previous"));
        proof.round = uint64(numberAt(string.concat(receipt, ".anchor.first")));
        proof.runs = uint32(numberAt(string.concat(part, ".bucket.runs")));
        proof.path = wordsAt(string.concat(receipt, ".proof"));
        proof.runPath = wordsAt(string.concat(part, ".run.proof"));
        bytes32[] memory bucketPath = wordsAt(string.concat(part, ".bucket.proof"));
        for (uint256 i = 0; i < proof.bucketPath.length; ++i) {
            proof.bucketPath[i] = bucketPath[i];
        }
        proof.rangePath = wordsAt(string.concat(part, ".range.proof"));
    }
}
