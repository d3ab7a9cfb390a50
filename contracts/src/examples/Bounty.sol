// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {IStreamChain} from "../IStreamChain.sol";

/// @title Bounty: a contract that acts on a message
/// @notice Pays its ether to the author of the message with a given content in a given stream, once somebody proves that
/// there is one: anybody may bring the proof, only the author is paid.
/// @dev An example. What it relies on, and what whoever uses a message on chain has to decide about:
/// - the stream's anchorer attests author and time of a message; a bounty trusts the stream that it names;
/// - when several messages have the content, the first one proven is paid, not the first one written.
contract Bounty {
    /// @notice The contract that the stream is anchored on.
    IStreamChain public immutable CHAIN;
    /// @notice The stream's id.
    bytes32 public immutable STREAM;
    /// @notice keccak256 of the content asked for.
    bytes32 public immutable PAYLOAD_HASH;

    /// @notice The bounty was paid.
    /// @param author Who wrote the message.
    /// @param seq The message's place in the stream.
    /// @param amount What was paid, in wei.
    event Paid(address indexed author, uint64 indexed seq, uint256 amount);

    /// @notice The message has another content.
    /// @param payloadHash keccak256 of that content.
    error OtherContent(bytes32 payloadHash);

    /// @notice The proof leads to nothing that the stream's anchorer stored.
    error NotProven();

    /// @notice There is nothing left to pay.
    error AlreadyPaid();

    /// @notice Puts up the ether that is sent along.
    /// @param chain The contract that the stream is anchored on.
    /// @param stream The stream's id.
    /// @param payloadHash keccak256 of the content asked for.
    constructor(IStreamChain chain, bytes32 stream, bytes32 payloadHash) payable {
        (CHAIN, STREAM, PAYLOAD_HASH) = (chain, stream, payloadHash);
    }

    /// @notice Pays the author of the message. Emits `Paid`.
    /// @dev Reverts with `AlreadyPaid`, `OtherContent` or `NotProven`.
    /// @param message The message, as its receipt tells it.
    /// @param proof The way to what `anchorStored` stored.
    function claim(IStreamChain.Claim calldata message, IStreamChain.Proof calldata proof) external {
        uint256 amount = address(this).balance;
        if (amount == 0) revert AlreadyPaid();
        if (message.payloadHash != PAYLOAD_HASH) revert OtherContent(message.payloadHash);
        if (!CHAIN.verify(STREAM, message, proof)) revert NotProven();
        emit Paid(message.author, message.seq, amount);
        Address.sendValue(payable(message.author), amount);
    }
}
