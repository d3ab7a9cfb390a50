//! What stands beside a group's messages, and its limits.

use super::key::{PublicKey, Signature};
use crate::util::cbor::{CborError, Reader, Writer};
use alloy_primitives::B256;

/// Most messages of one group: as many as a flush of the client library has; a path in it is at most eight hashes.
pub const MAX_GROUP_MESSAGES: usize = 256;

/// Most payload bytes of one group: as much as the largest message, so that a group is never a larger frame than it.
pub const MAX_GROUP_BYTES: usize = 65_536;

/// What stands beside the messages of a group: its record in the log is the group's first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupHeader {
    /// How many messages the group has: 1 to 256.
    pub count: u16,
    /// The digest of the producer's group before it on this stream; zero for the one that begins with number 0.
    pub previous: B256,
    /// The key that signed it.
    pub key: PublicKey,
    /// The signature over its preimage.
    pub signature: Signature,
}

impl GroupHeader {
    /// Most bytes that a header takes in a record: five heads, 2 + 32 + 33 + 64 bytes.
    pub const MAX_BYTES: usize = 140;

    /// Appends `[count, previous, key, signature]`.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer
            .array(4)
            .uint(u64::from(self.count))
            .bytes(self.previous.as_slice())
            .bytes(self.key.as_bytes())
            .bytes(&self.signature.0);
    }

    /// Reads what [`Self::write`] appends.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let length = |field, given, expected| CborError::Length {
            field,
            given,
            expected,
        };
        let given = reader.array("group")?;
        if given != 4 {
            return Err(length("group", given, "4"));
        }
        let given = reader.uint("count")?;
        let count = u16::try_from(given)
            .ok()
            .filter(|count| (1..=MAX_GROUP_MESSAGES).contains(&usize::from(*count)))
            .ok_or_else(|| length("count", given, "1 to 256"))?;
        Ok(Self {
            count,
            previous: B256::from(reader.fixed::<32>("previous")?),
            key: PublicKey::from_bytes(reader.fixed("key")?).map_err(|_| CborError::Item {
                field: "key",
                reason: "not a compressed point",
            })?,
            signature: Signature(reader.fixed("signature")?),
        })
    }
}
