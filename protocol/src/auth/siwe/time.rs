//! Times as RFC 3339 writes them.

use crate::time::UnixMs;

/// The time of a `date-time` of RFC 3339 §5.6, as `2026-01-31T12:00:00.25+01:00`; `None` for any other
/// text, for a day that its month has not, and for times before 1970. Of a fraction, milliseconds count.
pub(crate) fn parse_date_time(text: &str) -> Option<UnixMs> {
    let bytes = text.as_bytes();
    let mark = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    if !(mark(4, b"-") && mark(7, b"-") && mark(10, b"Tt") && mark(13, b":") && mark(16, b":")) {
        return None;
    }
    let (year, month, day) = (digits(bytes, 0, 4)?, digits(bytes, 5, 2)?, digits(bytes, 8, 2)?);
    let (hour, minute, second) = (
        digits(bytes, 11, 2)?,
        digits(bytes, 14, 2)?,
        digits(bytes, 17, 2)?,
    );
    if !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) {
        return None;
    }
    // 60 is a leap second (§5.7): the clocks here have none, so it is the second that follows.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (millis, rest) = fraction(bytes.get(19..)?)?;
    let offset_minutes = offset(rest)?;
    let minutes = (days_since_1970(year, month, day) * 24 + i64::from(hour)) * 60 + i64::from(minute);
    let seconds = (minutes - offset_minutes) * 60 + i64::from(second);
    u64::try_from(seconds * 1_000 + i64::from(millis))
        .ok()
        .map(UnixMs)
}

fn digits(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    let digits = bytes.get(at..at + count)?;
    digits.iter().try_fold(0, |value, byte| match byte {
        b'0'..=b'9' => Some(value * 10 + u32::from(byte - b'0')),
        _ => None,
    })
}

/// `.` and digits, if they are there, in milliseconds; and what follows.
fn fraction(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let Some(rest) = bytes.strip_prefix(b".") else {
        return Some((0, bytes));
    };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let (digits, rest) = rest.split_at(count);
    let digit = |place: usize| digits.get(place).map_or(0, |byte| u32::from(byte - b'0'));
    Some((digit(0) * 100 + digit(1) * 10 + digit(2), rest))
}

/// `Z`, or `+` or `-` and `hh:mm`, in minutes.
fn offset(bytes: &[u8]) -> Option<i64> {
    let sign = match bytes {
        [b'Z' | b'z'] => return Some(0),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    let (hours, minutes) = (digits(bytes, 1, 2)?, digits(bytes, 4, 2)?);
    let is_right = bytes.len() == 6 && bytes.get(3) == Some(&b':') && hours <= 23 && minutes <= 59;
    is_right.then_some(sign * i64::from(hours * 60 + minutes))
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Of the proleptic Gregorian calendar.
fn days_since_1970(year: u32, month: u32, day: u32) -> i64 {
    let leap_days = |years: i64| years / 4 - years / 100 + years / 400;
    let before = i64::from(year) - 1;
    let years = before * 365 + leap_days(before) - (1_969 * 365 + leap_days(1_969));
    // The year 0 is a leap year whose days the division above leaves out.
    let year_zero = if year == 0 { -1 } else { 0 };
    let months: u32 = (1..month).map(|month| days_of(year, month)).sum();
    years + year_zero + i64::from(months + day) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_millisecond_in_every_zone() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59.9999z", 951_868_799_999),
            ("2021-09-30T16:25:24Z", 1_633_019_124_000),
            ("2021-09-30t18:25:24.5+02:00", 1_633_019_124_500),
            ("2021-09-30T10:55:24.05-05:30", 1_633_019_124_050),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ] {
            assert_eq!(parse_date_time(text), Some(UnixMs(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2021-09-30",
            "2021-09-30T16:25:24",
            "2021-09-30 16:25:24Z",
            "2021-02-29T00:00:00Z",
            "2021-13-01T00:00:00Z",
            "2021-00-01T00:00:00Z",
            "2021-04-31T00:00:00Z",
            "2021-09-30T24:00:00Z",
            "2021-09-30T16:60:24Z",
            "2021-09-30T16:25:61Z",
            "2021-09-30T16:25:24.Z",
            "2021-09-30T16:25:24+0200",
            "2021-09-30T16:25:24+24:00",
            "2021-09-30T16:25:24ZZ",
            "2021-9-30T16:25:24Z",
            "1969-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
            "Thu, 30 Sep 2021 16:25:24 GMT",
        ] {
            assert_eq!(parse_date_time(text), None, "{text}");
        }
    }
}
