//! What proves a message: its leaf, the Merkle trees and rounds above it, its receipt, and how sure the anchor is.

mod anchor;
pub mod bucket;
mod leaf;
pub mod range;
mod receipt;
pub mod run;
mod segment;

pub use crate::util::merkle;
pub use anchor::{AnchorRef, AnchorState};
pub use leaf::{LeafFields, leaves};
pub use receipt::{
    AuthorError, RECEIPT_TYPE, RECEIPT_VERSION, ROUND_RECEIPT_VERSION, ROUNDS_NAME, Receipt, ReceiptAnchor,
    ReceiptAuthor, ReceiptBucket, ReceiptError, ReceiptGroup, ReceiptMessage, ReceiptRange, ReceiptRound,
    ReceiptRun, ReceiptStream, check_certificate, check_time, rounds_stream,
};
pub use segment::Segment;
