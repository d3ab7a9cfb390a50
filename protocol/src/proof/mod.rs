//! What proves a message: its leaf, the Merkle trees and rounds above it, its receipt, and how sure the anchor is.

mod anchor;
pub mod bucket;
mod leaf;
pub mod merkle;
pub mod range;
mod receipt;
pub mod run;
mod segment;

pub use anchor::{AnchorRef, AnchorState};
pub use leaf::{LeafFields, leaves};
pub use receipt::{
    RECEIPT_TYPE, RECEIPT_VERSION, Receipt, ReceiptAnchor, ReceiptError, ReceiptMessage, ReceiptStream,
};
pub use segment::Segment;
