// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {IStreamChain} from "../../src/IStreamChain.sol";
import {JsonVectors} from "./JsonVectors.sol";

/// @dev Reads test/vectors/merkle.json as what the contract takes.
abstract contract Vectors is JsonVectors {
    function readVectors() internal {
        readVectors("merkle.json");
    }

    /// @dev The anchor of a case.
    function caseRun(uint256 index) internal view returns (IStreamChain.Anchor memory) {
        string memory path = item(".cases", index);
        return IStreamChain.Anchor({
            stream: wordAt(string.concat(path, ".stream.id")),
            firstSeq: uint64(numberAt(string.concat(path, ".first"))),
            count: uint32(numberAt(string.concat(path, ".count"))),
            root: wordAt(string.concat(path, ".root"))
        });
    }

    /// @dev The runs of a set, in order.
    function setRuns(uint256 index) internal view returns (IStreamChain.Anchor[] memory runs) {
        string memory list = string.concat(item(".sets", index), ".runs");
        uint256 count = 0;
        while (has(item(list, count))) ++count;
        runs = new IStreamChain.Anchor[](count);
        for (uint256 i = 0; i < count; ++i) {
            runs[i] = caseRun(numberAt(string.concat(item(list, i), ".case")));
        }
    }

    /// @dev A listed message of a case.
    function claimAt(string memory path) internal view returns (IStreamChain.Claim memory) {
        return IStreamChain.Claim({
            seq: uint64(numberAt(string.concat(path, ".seq"))),
            time: uint64(numberAt(string.concat(path, ".time"))),
            author: cheats.parseJsonAddress(json, string.concat(path, ".author")),
            payloadHash: keccak256(cheats.parseJsonBytes(json, string.concat(path, ".payload")))
        });
    }

    /// @dev The way from a message of a case to the commitment of a set.
    function proofAt(string memory messagePath, IStreamChain.Anchor memory run, string memory runPath)
        internal
        view
        returns (IStreamChain.Proof memory)
    {
        return IStreamChain.Proof({
            firstSeq: run.firstSeq,
            count: run.count,
            path: cheats.parseJsonBytes32Array(json, string.concat(messagePath, ".proof")),
            setPath: cheats.parseJsonBytes32Array(json, string.concat(runPath, ".setPath"))
        });
    }
}
