// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {AuthorProof} from "../../src/AuthorProof.sol";
import {JsonVectors} from "./JsonVectors.sol";

/// @dev Calls the library from outside, so that tests can hand it structs as calldata.
contract AuthorChecker {
    function verifyAuthor(
        bytes32 stream,
        address author,
        bytes32 payloadHash,
        AuthorProof.Signature calldata signed
    ) external view returns (bool) {
        return AuthorProof.verifyAuthor(stream, author, payloadHash, signed);
    }

    function verifySignature(
        bytes32 stream,
        address author,
        bytes32 payloadHash,
        AuthorProof.Signature calldata signed
    ) external view returns (bool) {
        return AuthorProof.verifySignature(stream, author, payloadHash, signed);
    }
}

/// @dev Reads test/vectors/signed.json and author-claims.json.
abstract contract SignedVectors is JsonVectors {
    function textAt(string memory path, string memory field) internal pure returns (string memory) {
        return string.concat(path, ".", field);
    }

    function bytesAt(string memory path) internal view returns (bytes memory) {
        return cheats.parseJsonBytes(json, path);
    }

    /// @dev A signature's halves.
    function halvesAt(string memory path) internal view returns (bytes32 r, bytes32 s) {
        (r, s) = abi.decode(bytesAt(path), (bytes32, bytes32));
    }
}
