//! A token bucket that learns from throttling. Pure: the time is an argument.

use std::time::Duration;
use tokio::time::Instant;

/// The rate never falls below this many calls a second.
const FLOOR: f64 = 0.2;
/// Pause after a throttling answer.
const PAUSE: Duration = Duration::from_secs(1);
/// What the rate regains each second without throttling, as a share of the configured one.
const REGAIN: f64 = 0.05;

/// Size and rate of a bucket, in calls and calls a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    /// Calls that may be made at once after a rest.
    pub capacity: f64,
    /// Calls a second in the long run.
    pub refill: f64,
}

/// One action's bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    limit: Limit,
    rate: f64,
    tokens: f64,
    at: Instant,
    paused_until: Option<Instant>,
}

impl Bucket {
    /// A full bucket.
    pub fn new(limit: Limit, now: Instant) -> Self {
        let limit = Limit { capacity: limit.capacity.max(1.0), refill: limit.refill.max(FLOOR) };
        Self { limit, rate: limit.refill, tokens: limit.capacity, at: now, paused_until: None }
    }

    /// Takes a token, or says how long to wait before asking again.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(until) = self.paused_until {
            if now < until {
                return Err(until - now);
            }
            // Nothing is gained during a pause.
            self.at = self.at.max(until);
            self.paused_until = None;
        }
        self.refill(now);
        // Rounding must not make a waiter come back for a billionth of a token.
        if self.tokens >= 1.0 - 1e-6 {
            self.tokens = (self.tokens - 1.0).max(0.0);
            return Ok(());
        }
        let missing = (1.0 - self.tokens) / self.rate;
        Err(Duration::from_secs_f64(missing).max(Duration::from_millis(1)))
    }

    /// Calls a second that may be made now, in the long run.
    pub fn rate(&mut self, now: Instant) -> f64 {
        self.refill(now);
        self.rate
    }

    /// EC2 said that we are too fast: the rate is halved and the action pauses. The answers to calls already under way
    /// when the pause began say nothing new.
    pub fn throttled(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.refill(now);
        self.rate = (self.rate / 2.0).max(FLOOR.min(self.limit.refill));
        self.tokens = 0.0;
        self.paused_until = Some(now + PAUSE);
    }

    /// Adds what has come in since the last time, while the rate grows back to the configured one.
    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        let slope = self.limit.refill * REGAIN;
        let growing = elapsed.min((self.limit.refill - self.rate) / slope);
        let gained = self.rate * growing + slope * growing * growing / 2.0 + self.limit.refill * (elapsed - growing);
        self.rate = (self.rate + slope * growing).min(self.limit.refill);
        self.tokens = (self.tokens + gained).min(self.limit.capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { capacity: 10.0, refill: 4.0 };

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    /// How many calls go through from `from` for `length`, waiting exactly as told.
    fn run(bucket: &mut Bucket, from: Instant, length: Duration) -> u32 {
        let (mut now, mut taken) = (from, 0);
        loop {
            match bucket.take(now) {
                Ok(()) => taken += 1,
                Err(wait) => now += wait,
            }
            if now > from + length {
                return taken;
            }
        }
    }

    #[test]
    fn a_burst_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(LIMIT, start);
        let taken = run(&mut bucket, start, seconds(10.0));
        assert!((49..=51).contains(&taken), "{taken}");
    }

    #[test]
    fn throttling_pauses_halves_and_grows_back() {
        let start = Instant::now();
        let mut bucket = Bucket::new(LIMIT, start);
        bucket.throttled(start);
        assert_eq!(bucket.take(start), Err(PAUSE));
        assert_eq!(bucket.rate, 2.0);
        // Many answers to one burst are one lesson.
        bucket.throttled(start + seconds(0.5));
        assert_eq!(bucket.rate, 2.0);
        // Empty after the pause.
        assert!(bucket.take(start + PAUSE).is_err());
        // 5 % of 4/s a second: 10 s to regain 2/s.
        bucket.refill(start + PAUSE + seconds(5.0));
        assert!((bucket.rate - 3.0).abs() < 1e-9, "{}", bucket.rate);
        bucket.refill(start + PAUSE + seconds(60.0));
        assert_eq!(bucket.rate, 4.0);
        assert_eq!(bucket.tokens, 10.0);
    }

    #[test]
    fn the_rate_has_a_floor() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(LIMIT, now);
        for _ in 0..40 {
            bucket.throttled(now);
            now += PAUSE;
            bucket.at = now;
        }
        assert_eq!(bucket.rate, FLOOR);
        assert!(bucket.take(now).is_err_and(|wait| wait <= seconds(5.0)));
    }
}
