// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {Vm} from "./Vm.sol";

/// @dev Reads a file of test/vectors by its paths.
abstract contract JsonVectors {
    Vm internal constant cheats = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    string internal json;

    function readVectors(string memory file) internal {
        json = cheats.readFile(string.concat("test/vectors/", file));
    }

    function item(string memory list, uint256 index) internal pure returns (string memory) {
        return string.concat(list, "[", cheats.toString(index), "]");
    }

    function has(string memory path) internal view returns (bool) {
        return cheats.keyExistsJson(json, path);
    }

    function numberAt(string memory path) internal view returns (uint256) {
        return cheats.parseJsonUint(json, path);
    }

    function wordAt(string memory path) internal view returns (bytes32) {
        return cheats.parseJsonBytes32(json, path);
    }
}
