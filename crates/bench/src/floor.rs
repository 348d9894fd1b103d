//! What EC2's default token buckets allow: capacity and refill per second (facts/ec2.md).

/// Attach and Detach: 50, and 5 a second. Create and Delete have 100 and 5: they are never the narrowest.
pub const CAPACITY: f64 = 50.0;
const REFILL: f64 = 5.0;

/// Seconds in which so many ENIs can be attached, or detached, from full buckets at this share of the refill rate. What EC2
/// takes to do it comes on top.
pub fn seconds(enis: u32, share: f64) -> f64 {
    (f64::from(enis) - CAPACITY).max(0.0) / (REFILL * share)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_floors_of_facts() {
        assert_eq!([(2000, 1.0), (100, 1.0), (50, 1.0)].map(|(n, share)| super::seconds(n, share)), [390.0, 10.0, 0.0]);
        assert_eq!(super::seconds(2000, 0.8), 487.5);
    }
}
