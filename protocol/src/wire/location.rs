//! Where a relay or a client is.

use serde::{Deserialize, Serialize};

/// A place on the earth, in thousandths of a degree: about 100 m, which is closer than any address is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Degrees", into = "Degrees")]
pub struct Location {
    latitude: i32,
    longitude: i32,
}

/// A [`Location`] in JSON.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Degrees {
    latitude: f64,
    longitude: f64,
}

/// A latitude or longitude is not on the earth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a latitude from -90 to 90 and a longitude from -180 to 180")]
pub struct LocationError;

impl TryFrom<Degrees> for Location {
    type Error = LocationError;
    fn try_from(degrees: Degrees) -> Result<Self, LocationError> {
        Self::of_degrees(degrees.latitude, degrees.longitude).ok_or(LocationError)
    }
}

impl From<Location> for Degrees {
    fn from(location: Location) -> Self {
        let (latitude, longitude) = location.degrees();
        Self { latitude, longitude }
    }
}

impl Location {
    /// Returns the place with these coordinates in degrees; `None` where there is no such place.
    pub fn of_degrees(latitude: f64, longitude: f64) -> Option<Self> {
        let within = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        let thousandths = |degrees: f64| (degrees * 1_000.0).round() as i32;
        within.then(|| Self {
            latitude: thousandths(latitude),
            longitude: thousandths(longitude),
        })
    }

    /// Returns latitude and longitude in degrees.
    pub fn degrees(self) -> (f64, f64) {
        (
            f64::from(self.latitude) / 1_000.0,
            f64::from(self.longitude) / 1_000.0,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::json::{from_text, from_value};

    #[test]
    fn a_place_off_the_earth_is_refused() {
        let read = |text: &str| from_text::<Location>(text);
        let berlin = read(r#"{"latitude":52.5200066,"longitude":13.404954}"#).unwrap();
        assert_eq!(berlin.degrees(), (52.52, 13.405));
        let json = serde_json::to_value(berlin).unwrap();
        assert_eq!(json.to_string(), r#"{"latitude":52.52,"longitude":13.405}"#);
        assert_eq!(from_value::<Location>(&json), Ok(berlin));
        for wrong in [
            r#"{"latitude":90.1,"longitude":0}"#,
            r#"{"latitude":0,"longitude":-180.5}"#,
            r#"{"latitude":0}"#,
            r#"{"latitude":"0","longitude":0}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Location::of_degrees(f64::NAN, 0.0), None);
    }
}
