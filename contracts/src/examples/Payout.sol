// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {AuthorProof} from "../AuthorProof.sol";
import {IStreamChain} from "../IStreamChain.sol";

/// @title Payout: a contract that acts on what an author signed
/// @notice Pays its ether as its author orders: a payment is a message of the author in a given stream, whose content is
/// abi.encode(address(this), payee, amount). Anybody may bring the message once it is anchored in a round.
/// @dev An example. The operator of the stream can neither make up a payment nor change one, since the author's signature is
/// checked; nor have one paid twice by anchoring it twice, since it is known by the number that the author gave it. That the
/// message is anchored makes each payment public before it is made; whoever does not need that leaves `verifyInRound` out.
contract Payout {
    /// @notice The contract that the rounds are anchored on.
    IStreamChain public immutable CHAIN;
    /// @notice The stream of rounds whose owner is believed about what is public.
    bytes32 public immutable ROUNDS;
    /// @notice The stream in which the author writes.
    bytes32 public immutable STREAM;
    /// @notice Whose orders are followed: the address that the author's key is.
    address public immutable AUTHOR;

    /// @notice The payments that were made, by the author's producer and number.
    mapping(bytes32 order => bool isPaid) public paid;

    /// @notice A payment was made.
    /// @param payee Who was paid.
    /// @param amount What was paid, in wei.
    /// @param order The hash of the author's producer and number.
    event Paid(address indexed payee, uint256 amount, bytes32 indexed order);

    /// @notice The message has another content than this payment.
    error OtherContent();

    /// @notice The message is by another author.
    /// @param author Its author.
    error OtherAuthor(address author);

    /// @notice The author did not sign the message.
    error NotSigned();

    /// @notice The proof leads to no round.
    error NotProven();

    /// @notice The payment was made before.
    error AlreadyPaid();

    /// @notice Takes the ether that is paid out later.
    /// @param chain The contract that the rounds are anchored on.
    /// @param rounds The id of the stream of rounds.
    /// @param stream The stream's id.
    /// @param author The author's address.
    constructor(IStreamChain chain, bytes32 rounds, bytes32 stream, address author) payable {
        (CHAIN, ROUNDS, STREAM, AUTHOR) = (chain, rounds, stream, author);
    }

    /// @notice Pays what the author ordered. Emits `Paid`.
    /// @dev Reverts with `OtherAuthor`, `OtherContent`, `NotSigned`, `NotProven` or `AlreadyPaid`.
    /// @param payee Who is paid.
    /// @param amount What is paid, in wei.
    /// @param message The message, as its receipt tells it.
    /// @param proof The way from the message to a peak of the rounds.
    /// @param signed The author's part of the receipt.
    function pay(
        address payee,
        uint256 amount,
        IStreamChain.Claim calldata message,
        IStreamChain.RoundProof calldata proof,
        AuthorProof.Signature calldata signed
    ) external {
        if (message.author != AUTHOR) {
            revert OtherAuthor(message.author);
        }
        bytes32 content = keccak256(abi.encode(address(this), payee, amount));
        if (message.payloadHash != content) revert OtherContent();
        if (!AuthorProof.verifyAuthor(STREAM, AUTHOR, content, signed)) revert NotSigned();
        if (!CHAIN.verifyInRound(ROUNDS, STREAM, message, proof)) revert NotProven();
        bytes32 order = keccak256(abi.encode(signed.producer, signed.producerSeq));
        if (paid[order]) revert AlreadyPaid();
        paid[order] = true;
        emit Paid(payee, amount, order);
        Address.sendValue(payable(payee), amount);
    }
}
