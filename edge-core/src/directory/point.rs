//! Distances on the earth.

use streamchain_protocol::wire::Location;

/// The mean radius of the earth (IUGG), kilometres.
const EARTH_RADIUS_KM: f64 = 6_371.0;

/// A place as a point on the unit sphere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point([f64; 3]);

impl From<Location> for Point {
    fn from(location: Location) -> Self {
        let (latitude, longitude) = location.degrees();
        let (latitude, longitude) = (latitude.to_radians(), longitude.to_radians());
        let around = latitude.cos();
        Self([around * longitude.cos(), around * longitude.sin(), latitude.sin()])
    }
}

impl Point {
    /// The length of the great circle between two places.
    pub(super) fn km_to(self, other: Self) -> f64 {
        let square = |(a, b): (f64, f64)| (a - b) * (a - b);
        let squares: f64 = self.0.into_iter().zip(other.0).map(square).sum();
        // The chord is exact for near places too, where the cosine of the angle is 1 in all its digits.
        2.0 * EARTH_RADIUS_KM * (squares.sqrt() / 2.0).min(1.0).asin()
    }
}
