//! How long a stream's messages may wait for their segment and their round.

use super::env::{ConfigError, Settings};
use std::ops::RangeInclusive;
use streamchain_edge_core::stream_log::Pace;

/// How old a message gets before it is in a segment, unless `SEGMENT_MAX_AGE_MS` says otherwise: as old as anchors are apart, since
/// a segment costs about four rows and three requests and is needed for the next anchor only; or this, if they are closer.
const MIN_SEGMENT_AGE_MS: u64 = 10_000;

/// What `SEGMENT_MAX_AGE_MS` may be. In a shorter time nothing gathers; in a longer one nothing more is saved.
const SEGMENT_AGES_MS: RangeInclusive<u64> = 100..=600_000;

/// The local chain's: an anchor every two seconds.
const ANCHOR_INTERVAL_MS: u64 = 2_000;

/// A shorter interval would be one transaction after the other.
const MIN_ANCHOR_INTERVAL_MS: u64 = 100;

/// Reads the settings.
pub(super) fn parse(settings: &Settings) -> Result<Pace, ConfigError> {
    let offer_interval_ms = settings.number("ANCHOR_INTERVAL_MS", ANCHOR_INTERVAL_MS)?;
    let usual_ms = offer_interval_ms.clamp(MIN_SEGMENT_AGE_MS, *SEGMENT_AGES_MS.end());
    let max_age_ms = settings.number("SEGMENT_MAX_AGE_MS", usual_ms)?;
    if !SEGMENT_AGES_MS.contains(&max_age_ms) {
        let expected = format!("expected {SEGMENT_AGES_MS:?} milliseconds");
        return Err(ConfigError::new("SEGMENT_MAX_AGE_MS", expected));
    }
    Ok(Pace {
        max_age_ms,
        offer_interval_ms: offer_interval_ms.max(MIN_ANCHOR_INTERVAL_MS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(name: &str, value: &str) -> Result<Pace, ConfigError> {
        let read = |asked: &str| (asked == name).then(|| value.to_owned());
        parse(&Settings::of(&read))
    }

    #[test]
    fn a_segment_is_as_old_as_anchors_are_apart() {
        let usual = pace("SEGMENT_MAX_AGE_MS", "").ok().unwrap();
        assert_eq!((usual.max_age_ms, usual.offer_interval_ms), (10_000, 2_000));
        for (interval, age) in [("60000", 60_000), ("10001", 10_001), ("3600000", 600_000)] {
            assert_eq!(pace("ANCHOR_INTERVAL_MS", interval).ok().unwrap().max_age_ms, age);
        }
        assert_eq!(pace("SEGMENT_MAX_AGE_MS", "1000").ok().unwrap().max_age_ms, 1_000);
        assert_eq!(
            pace("ANCHOR_INTERVAL_MS", "5").ok().unwrap().offer_interval_ms,
            100
        );
    }

    #[test]
    fn an_age_out_of_bounds_is_an_error_that_names_it() {
        for age in ["99", "600001", "-1", "soon"] {
            let error = pace("SEGMENT_MAX_AGE_MS", age).err();
            assert_eq!(error.map(|error| error.name), Some("SEGMENT_MAX_AGE_MS"), "{age}");
        }
    }
}
