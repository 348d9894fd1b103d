//! The floor: the least time that EC2's default token buckets (capacity and refill rate, facts/ec2.md) allow for a number of
//! calls.

/// Attach and Detach have a capacity of 50 and a refill of 5 a second. Create and Delete have 100 and 5, so they never set the
/// floor.
pub const CAPACITY: f64 = 50.0;
const REFILL: f64 = 5.0;

/// Seconds in which this many ENIs can be attached or detached, from full buckets, at this share of the refill rate. The time
/// that EC2 itself takes is not included.
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
