//! What proves a message: its leaf, the Merkle trees above it, its receipt, and how sure the anchor is.

mod anchor;
mod leaf;
pub mod merkle;
mod receipt;
mod segment;

pub use anchor::{AnchorRef, AnchorState};
pub use leaf::{LeafFields, leaves};
pub use receipt::{
    RECEIPT_TYPE, RECEIPT_VERSION, Receipt, ReceiptAnchor, ReceiptError, ReceiptMessage, ReceiptStream,
};
pub use segment::Segment;
