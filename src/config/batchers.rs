//! How the 256 buckets of a round are divided among the Batcher objects.

use super::env::{ConfigError, Settings};

/// Buckets of a round.
const BUCKETS: u16 = 256;

/// Batcher objects unless `BATCHERS` says otherwise: 16 take 3,200 requests a second together.
const DEFAULT_BATCHERS: u64 = 16;

/// The groups of buckets, one for each Batcher object: each has equally many, next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batchers {
    buckets_each: u16,
}

impl Batchers {
    /// What `BATCHERS` says.
    pub(super) fn parse(settings: &Settings) -> Result<Self, ConfigError> {
        let count = settings.number("BATCHERS", DEFAULT_BATCHERS)?;
        let count = u16::try_from(count).ok();
        let count = count.filter(|count| (1..=BUCKETS).contains(count) && count.is_power_of_two());
        match count.and_then(|count| BUCKETS.checked_div(count)) {
            Some(buckets_each) => Ok(Self { buckets_each }),
            None => Err(ConfigError::new("BATCHERS", "expected a power of two, 1 to 256")),
        }
    }

    /// How many buckets each object has.
    pub(crate) fn buckets_each(self) -> u16 {
        self.buckets_each
    }

    /// The first bucket of the group that a bucket belongs to.
    pub(crate) fn first_bucket(self, bucket: u8) -> u8 {
        let below = self.buckets_each.saturating_sub(1);
        bucket & u8::try_from(!below & 0xff).unwrap_or_default()
    }

    /// The first bucket of each group, in order.
    pub(crate) fn groups(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).step_by(usize::from(self.buckets_each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batchers(count: &str) -> Result<Batchers, ConfigError> {
        Batchers::parse(&Settings::of(&|_| Some(count.to_owned())))
    }

    #[test]
    fn groups_cover_all_buckets_without_overlap() {
        for count in [1_usize, 2, 16, 256] {
            let batchers = batchers(&count.to_string()).unwrap();
            assert_eq!(batchers.groups().count(), count);
            for bucket in 0..=u8::MAX {
                let first = batchers.first_bucket(bucket);
                assert!(
                    batchers.groups().any(|group| group == first),
                    "{bucket} of {count}"
                );
                assert!(
                    (u16::from(first)..u16::from(first) + batchers.buckets_each()).contains(&bucket.into())
                );
            }
        }
    }

    #[test]
    fn only_powers_of_two_up_to_256_are_taken() {
        for count in ["0", "3", "512", "65537", "-1", "many"] {
            assert_eq!(batchers(count).unwrap_err().name, "BATCHERS", "{count}");
        }
        assert_eq!(
            Batchers::parse(&Settings::of(&|_| None))
                .unwrap()
                .groups()
                .count(),
            16
        );
    }
}
