//! What the archive has of a final round: an object with its buckets, and one with the runs of all of them.
//!
//! What always holds: nothing of a round leaves the database before the archive has what leads to the round's root, and what
//! is read back is checked against it. Lists in the database are checked too: a batcher that the round was made without may
//! have written one all the same.

use alloy_primitives::B256;
use std::fmt;
use streamchain_protocol::proof::bucket::{
    BUCKETS, Buckets, bucket_of, bucket_root, decode_buckets, encode_buckets, round_root,
};
use streamchain_protocol::proof::run::{RUN_ENTRY_BYTES, RunEntry, decode_runs};

/// Length of what the database keeps of a round's buckets when the archive has them: a bit for each, the first bucket's
/// being the highest of the first byte, that says whether it has runs.
pub const BUCKET_MAP_BYTES: usize = BUCKETS / 8;

/// Length of the object with a round's buckets.
pub const BUCKETS_OBJECT_BYTES: usize = BUCKETS * 36;

/// Why a round cannot be moved, or not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoundError {
    /// The buckets are malformed, or do not lead to the round's root.
    Buckets,
    /// No list has the runs that lead to the root of this bucket.
    Lacking(u8),
}

impl fmt::Display for RoundError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buckets => write!(out, "its buckets do not lead to its root"),
            Self::Lacking(bucket) => write!(out, "no list leads to the root of its bucket {bucket}"),
        }
    }
}

/// The buckets of a round, as the database has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredBuckets {
    /// They are in the database.
    Here(Box<Buckets>),
    /// They are in the archive.
    Archived,
}

impl StoredBuckets {
    /// Reads the column of a round's buckets; `None` for anything else.
    pub fn read(column: &[u8]) -> Option<Self> {
        match column.len() == BUCKET_MAP_BYTES {
            true => Some(Self::Archived),
            false => decode_buckets(column).map(Self::Here),
        }
    }
}

/// Returns what the database keeps of a round's buckets when the archive has them.
pub fn bucket_map(buckets: &Buckets) -> [u8; BUCKET_MAP_BYTES] {
    let mut map = [0; BUCKET_MAP_BYTES];
    for (byte, eight) in map.iter_mut().zip(buckets.chunks(8)) {
        *byte = eight
            .iter()
            .fold(0, |bits, bucket| (bits << 1) | u8::from(bucket.runs > 0));
    }
    map
}

/// Returns an SQL expression that is true for a round whose buckets, in this column, say that this one has runs: of a round
/// in the database by its number of runs, of one in the archive by the bit of [`bucket_map`].
pub fn has_runs_sql(column: &str, bucket: u8) -> String {
    let bucket = usize::from(bucket);
    // A hexadecimal digit of the map is about four buckets.
    let digits = match bucket % 4 {
        0 => "89ABCDEF",
        1 => "4567CDEF",
        2 => "2367ABEF",
        _ => "13579BDF",
    };
    let (digit, number) = (1 + bucket / 4, 1 + BUCKETS_OBJECT_BYTES / BUCKETS * bucket);
    format!(
        "(CASE length({column}) WHEN {BUCKET_MAP_BYTES} THEN instr('{digits}', substr(hex({column}), {digit}, 1)) > 0
          ELSE substr({column}, {number}, 4) <> x'00000000' END)"
    )
}

/// Returns the object with a round's buckets.
pub fn buckets_object(round: u64, root: B256, buckets: &Buckets) -> Result<Vec<u8>, RoundError> {
    match round_root(round, buckets) == root {
        true => Ok(encode_buckets(buckets)),
        false => Err(RoundError::Buckets),
    }
}

/// Reads what [`buckets_object`] returned of this round.
pub fn read_buckets_object(round: u64, root: B256, object: &[u8]) -> Result<Box<Buckets>, RoundError> {
    let buckets = decode_buckets(object);
    let of_round = buckets.filter(|buckets| round_root(round, buckets) == root);
    of_round.ok_or(RoundError::Buckets)
}

/// Returns the runs of all buckets of a round, in the order of stream ids: of each bucket those out of `lists` that lead to
/// its root.
pub fn whole_list(buckets: &Buckets, lists: &[Vec<u8>]) -> Result<Vec<u8>, RoundError> {
    let mut whole = Vec::new();
    for (bucket, found) in (0..=u8::MAX).zip(parts(buckets, lists)) {
        let has_runs = buckets.get(usize::from(bucket)).is_some_and(|of| of.runs > 0);
        match found {
            Some(part) => whole.extend_from_slice(part),
            None if has_runs => return Err(RoundError::Lacking(bucket)),
            None => {}
        }
    }
    Ok(whole)
}

/// Returns the runs of this list that are in the round: those of whole buckets that lead to their roots.
pub fn runs_in_round(buckets: &Buckets, list: Vec<u8>) -> Vec<RunEntry> {
    let lists = [list];
    let of_round = parts(buckets, &lists).into_iter().flatten();
    of_round
        .filter_map(|part| decode_runs(part).ok())
        .flatten()
        .collect()
}

/// For each bucket its runs, as bytes, out of the first list whose runs lead to its root.
fn parts<'a>(buckets: &Buckets, lists: &'a [Vec<u8>]) -> Vec<Option<&'a [u8]>> {
    let mut parts = vec![None; BUCKETS];
    for list in lists {
        let mut rest = list.as_slice();
        while let Some(bucket) = first_bucket(rest) {
            let entries = rest.chunks_exact(RUN_ENTRY_BYTES);
            let runs = entries.take_while(|entry| entry.first() == Some(&bucket)).count();
            let Some((part, behind)) = rest.split_at_checked(runs * RUN_ENTRY_BYTES) else {
                break;
            };
            rest = behind;
            let of_bucket = buckets.get(usize::from(bucket));
            if let Some(place @ None) = parts.get_mut(usize::from(bucket))
                && of_bucket.is_some_and(|of| of.runs as usize == runs)
                && decode_runs(part).is_ok_and(|runs| Some(&bucket_root(&runs)) == of_bucket)
            {
                *place = Some(part);
            }
        }
    }
    parts
}

/// The bucket of the first run of a list; `None` when there is no whole run.
fn first_bucket(list: &[u8]) -> Option<u8> {
    let id = list.get(..RUN_ENTRY_BYTES)?.first_chunk()?;
    Some(bucket_of(streamchain_protocol::ids::StreamId(*id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::ids::{Seq, StreamId};
    use streamchain_protocol::proof::bucket::BucketRoot;
    use streamchain_protocol::proof::run::encode_runs;

    const ROUND: u64 = 7;

    fn run(bucket: u8, rest: u8) -> RunEntry {
        let mut id = [rest; 32];
        id[0] = bucket;
        RunEntry {
            stream: StreamId(id),
            first: Seq(3),
            count: 1 + u32::from(rest),
            root: B256::repeat_byte(rest),
            previous: B256::ZERO,
        }
    }

    /// A round of these runs.
    fn round(runs: &[RunEntry]) -> Buckets {
        let mut buckets = [BucketRoot::default(); BUCKETS];
        for bucket in 0..=u8::MAX {
            let of_bucket = runs.iter().copied().filter(|run| bucket_of(run.stream) == bucket);
            buckets[usize::from(bucket)] = bucket_root(&of_bucket.collect::<Vec<_>>());
        }
        buckets
    }

    #[test]
    fn buckets_survive_the_archive() {
        let buckets = round(&[run(0, 1), run(9, 1), run(9, 2), run(255, 3)]);
        let root = round_root(ROUND, &buckets);
        let object = buckets_object(ROUND, root, &buckets).unwrap();
        assert_eq!(object.len(), BUCKETS_OBJECT_BYTES);
        assert_eq!(
            StoredBuckets::read(&object),
            Some(StoredBuckets::Here(Box::new(buckets)))
        );
        assert_eq!(read_buckets_object(ROUND, root, &object).as_deref(), Ok(&buckets));
        assert_eq!(
            StoredBuckets::read(&bucket_map(&buckets)),
            Some(StoredBuckets::Archived)
        );
        assert_eq!(StoredBuckets::read(&object[1..]), None);
        assert_eq!(StoredBuckets::read(&[]), None);
    }

    #[test]
    fn buckets_that_are_not_the_rounds_are_refused() {
        let buckets = round(&[run(0, 1), run(9, 1)]);
        let root = round_root(ROUND, &buckets);
        let object = buckets_object(ROUND, root, &buckets).unwrap();
        assert_eq!(
            read_buckets_object(ROUND + 1, root, &object),
            Err(RoundError::Buckets)
        );
        assert_eq!(
            buckets_object(ROUND + 1, root, &buckets),
            Err(RoundError::Buckets)
        );
        let mut changed = object.clone();
        changed[9 * 36 + 35] ^= 1;
        assert_eq!(
            read_buckets_object(ROUND, root, &changed),
            Err(RoundError::Buckets)
        );
        assert_eq!(
            read_buckets_object(ROUND, root, &object[..36]),
            Err(RoundError::Buckets)
        );
    }

    #[test]
    fn the_map_has_a_bit_for_each_bucket() {
        for bucket in 0..=u8::MAX {
            let map = bucket_map(&round(&[run(bucket, 1)]));
            let digits: String = map.iter().map(|byte| format!("{byte:02X}")).collect();
            for other in 0..=u8::MAX {
                // As SQLite evaluates it: the digit of the map is among those of the expression, or not.
                let sql = has_runs_sql("d.buckets", other);
                let among = sql.split('\'').nth(1).unwrap();
                let place: usize = sql
                    .split("), ")
                    .nth(1)
                    .unwrap()
                    .split(',')
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap();
                let digit = digits.chars().nth(place - 1).unwrap();
                assert_eq!(
                    among.contains(digit),
                    other == bucket,
                    "{other} of a round with {bucket}"
                );
            }
        }
    }

    #[test]
    fn a_list_of_who_was_left_out_is_in_no_object() {
        let kept = [run(130, 1), run(200, 2), run(200, 3)];
        let buckets = round(&kept);
        let stale = encode_runs(&[run(0, 1), run(5, 5)]);
        let list = encode_runs(&kept);
        assert_eq!(
            whole_list(&buckets, &[stale.clone(), list.clone()]),
            Ok(list.clone())
        );
        // An object of the version before has both.
        assert_eq!(
            whole_list(&buckets, &[[stale.clone(), list.clone()].concat()]),
            Ok(list.clone())
        );
        assert_eq!(runs_in_round(&buckets, stale), vec![]);
        assert_eq!(runs_in_round(&buckets, list), kept);
    }

    #[test]
    fn a_stale_list_of_the_same_buckets_is_passed_over() {
        let kept = [run(5, 1), run(6, 1)];
        let stale = encode_runs(&[run(5, 2), run(6, 1), run(6, 2)]);
        let lists = [stale, encode_runs(&kept)];
        assert_eq!(whole_list(&round(&kept), &lists), Ok(encode_runs(&kept)));
    }

    #[test]
    fn a_round_whose_runs_are_not_all_there_is_not_moved() {
        let kept = [run(5, 1), run(6, 1), run(6, 2)];
        let buckets = round(&kept);
        let list = encode_runs(&kept);
        let all_but_last = list[..2 * RUN_ENTRY_BYTES].to_vec();
        assert_eq!(whole_list(&buckets, &[all_but_last]), Err(RoundError::Lacking(6)));
        assert_eq!(whole_list(&buckets, &[]), Err(RoundError::Lacking(5)));
        let mut torn = list.clone();
        torn.truncate(list.len() - 1);
        assert_eq!(whole_list(&buckets, &[torn]), Err(RoundError::Lacking(6)));
        let mut changed = list;
        changed[RUN_ENTRY_BYTES - 1] ^= 1;
        assert_eq!(whole_list(&buckets, &[changed]), Err(RoundError::Lacking(5)));
    }
}
