//! Who attests the author of each message: its group's signature, the certificates of the edge, and the wallets on the chain.

use super::key_use::KeyUse;
use super::message::Message;
use super::signatures::{SignatureFault, Signatures};
use super::sources::Sources;
use super::unvouched::Unvouched;
use crate::commands::authors::Attested;
use std::time::{SystemTime, UNIX_EPOCH};
use streamchain_chain::authors::Voucher;
use streamchain_protocol::time::UnixSec;

/// Checks what a message shows of its author's signature, with the certificates and wallets that it takes. Only a fault of a
/// signature, a group or a producer's chain is returned, and ends the check of the stream; who vouches is counted.
pub(super) async fn take_signature(
    sources: &mut Sources<'_>,
    signatures: &mut Signatures,
    message: &Message,
) -> Result<Result<(), SignatureFault>, String> {
    let required = sources.required;
    let by_operator = required.refuses(Attested::ByOperator);
    let used = match signatures.take(message) {
        Ok(Some(used)) => used,
        Ok(None) => {
            if message.group.is_none() {
                signatures.require(message.seq, message.author, by_operator);
            }
            return Ok(Ok(()));
        }
        Err(fault) => return Ok(Err(fault)),
    };
    let found = match signatures.vouched(&used, now()) {
        Some(found) => found,
        None => find_voucher(sources, signatures, &used).await?,
    };
    match found {
        Ok(voucher) => {
            let attested = required.attested(used.author, &used.key, &voucher);
            signatures.count(&used, attested);
            signatures.require(message.seq, message.author, required.refuses(attested));
        }
        Err(reason) => signatures.count_unvouched(&used, reason, by_operator.is_some()),
    }
    Ok(Ok(()))
}

/// Asks the edge for the certificate of a key, and the chain about a contract wallet.
async fn find_voucher(
    sources: &mut Sources<'_>,
    signatures: &mut Signatures,
    used: &KeyUse,
) -> Result<Result<Voucher, Unvouched>, String> {
    let (stream, at, asked_at) = (signatures.stream(), used.times.1, now());
    let certificate = sources
        .edge
        .certificate(stream, used.author, &used.key, at)
        .await?;
    let mut found = signatures.judge(used, certificate.as_ref());
    if let Ok(Voucher::ContractWallet { hash, signature, .. }) = &found {
        let asked = sources.wallets.ask(sources.node, used.author, *hash, signature);
        if let Err(reason) = asked.await? {
            found = Err(reason);
        }
    }
    signatures.keep(used, certificate, &found, asked_at);
    Ok(found)
}

fn now() -> UnixSec {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixSec(since.as_secs())
}
