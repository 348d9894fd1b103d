//! Back-off: when a request that was refused, or that had no lasting effect, may be sent again. The wait begins at one
//! second and doubles up to five minutes. Its jitter comes from a digest, so the same history gives the same waits.

use jiff::{SignedDuration, Timestamp};
use multi_eni_api::names::short_digest;

/// The first wait.
pub const FIRST: SignedDuration = SignedDuration::from_secs(1);
/// The longest wait. The end of a refusal is noticed after this time at the latest.
pub const MOST: SignedDuration = SignedDuration::from_secs(300);
/// The first wait after a conflict: another client wrote first, and the new version of the object has been read.
const FIRST_AFTER_CONFLICT: SignedDuration = SignedDuration::from_millis(200);
/// After this time without a request the next one counts as the first.
pub const FORGOTTEN: SignedDuration = SignedDuration::from_secs(600);

/// The wait after `times` tries in a row, including a jitter of up to a quarter, and at most [`MOST`]. `seed` makes the
/// jitter of targets differ.
pub fn wait(first: SignedDuration, times: u32, seed: &str) -> SignedDuration {
    let doublings = times.clamp(1, 16) - 1;
    let bare = first.checked_mul(1 << doublings).unwrap_or(MOST).min(MOST);
    let digest = u32::from_str_radix(&short_digest(&format!("{seed}/{times}")), 16).unwrap_or(0);
    let part = i32::try_from(digest % 256).unwrap_or(0);
    bare.saturating_add(bare.checked_mul(part).map_or(SignedDuration::ZERO, |more| more / 1024)).min(MOST)
}

/// The content of a request, as digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Digest of the whole content without times. The same digest after an accepted request is a repetition.
    pub what: u64,
    /// Digest of the part that users decide. After a refusal only a change of this part counts as new content: a status
    /// changes with each answer of EC2, and is refused all the same.
    pub ground: u64,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The request was accepted.
    Taken,
    /// Another client wrote first.
    Outrun,
    /// The request was refused, or got no answer.
    Failed,
}

/// The recent requests for one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    content: Content,
    last: Ended,
    at: Timestamp,
    /// Number of requests in a row that were not accepted.
    failed: u32,
    /// Number of requests in a row that were accepted with the same content.
    same: u32,
    /// Whether there is a sign that the next try may succeed.
    woken: bool,
}

impl Tries {
    /// The state after one more request.
    pub fn after(before: Option<&Self>, content: Content, last: Ended, at: Timestamp) -> Self {
        let recent = before.filter(|tries| !tries.is_forgotten(at));
        let (failed, same) = match last {
            Ended::Taken => {
                let again = recent.filter(|tries| tries.content.what == content.what);
                (0, again.map_or(0, |tries| tries.same).saturating_add(1))
            }
            Ended::Outrun | Ended::Failed => {
                let again = recent.filter(|tries| tries.content.ground == content.ground);
                (again.map_or(0, |tries| tries.failed).saturating_add(1), recent.map_or(0, |tries| tries.same))
            }
        };
        Self { content, last, at, failed, same, woken: false }
    }

    /// When a request with this content may be sent. None: now. `seed` makes the jitter of targets differ.
    pub fn not_before(&self, content: Content, seed: &str, now: Timestamp) -> Option<Timestamp> {
        let wait = match self.last {
            _ if self.woken => FIRST,
            Ended::Taken if self.content.what != content.what || self.is_forgotten(now) => return None,
            Ended::Taken => wait(FIRST, self.same, seed),
            Ended::Outrun => wait(FIRST_AFTER_CONFLICT, self.failed, seed),
            Ended::Failed if self.content.ground != content.ground => FIRST,
            Ended::Failed => wait(FIRST, self.failed, seed),
        };
        Some(self.at.saturating_add(wait).unwrap_or(Timestamp::MAX)).filter(|at| now < *at)
    }

    /// Records a sign that the next try may succeed: it waits only [`FIRST`]. Returns true if the sign is new.
    pub fn wake(&mut self) -> bool {
        !std::mem::replace(&mut self.woken, true)
    }

    /// Whether the last request was refused or got no answer.
    pub fn is_failing(&self) -> bool {
        self.last == Ended::Failed
    }

    /// Number of requests in a row that were not accepted.
    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// Number of requests in a row that were accepted with the same content. Above 1 the content does not last.
    pub fn same(&self) -> u32 {
        self.same
    }

    /// Whether the last request is so old that the next one is no repetition and may be sent sooner.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) >= FORGOTTEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Content = Content { what: 1, ground: 1 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    /// Sends a request as soon as it may be sent, for this many seconds. Returns the times at which it was sent, in
    /// seconds.
    fn sent(seconds: i64, content: impl Fn(i64) -> Content, ended: impl Fn(usize) -> Ended) -> Vec<f64> {
        let (mut tries, mut sent, mut now): (Option<Tries>, Vec<f64>, _) = (None, Vec::new(), at(0));
        while now < at(seconds) {
            let asked = content(now.as_second());
            match tries.and_then(|tries| tries.not_before(asked, "seed", now)) {
                Some(_) => {}
                None => {
                    tries = Some(Tries::after(tries.as_ref(), asked, ended(sent.len()), now));
                    sent.push(now.duration_since(at(0)).as_secs_f64());
                }
            }
            now += SignedDuration::from_millis(100);
        }
        sent
    }

    #[test]
    fn waits_double_up_to_five_minutes_and_differ_by_their_seed() {
        let waits: Vec<i64> = (1..20).map(|times| wait(FIRST, times, "x").as_secs()).collect();
        assert_eq!((waits[0], waits[18]), (1, 300));
        for (times, wait) in (0_u32..9).zip(&waits) {
            let bare = 1 << times;
            assert!((bare..=bare + bare / 4).contains(wait), "{times}: {wait}");
        }
        assert!((1..50).any(|n| wait(FIRST, 5, &n.to_string()) != wait(FIRST, 5, "x")));
        assert_eq!(wait(FIRST, u32::MAX, "x"), MOST);
    }

    #[test]
    fn the_wait_doubles_while_a_request_is_refused() {
        let sent = sent(3600, |_| A, |_| Ended::Failed);
        assert!((15..=22).contains(&sent.len()), "{sent:?}");
    }

    #[test]
    fn a_changing_status_does_not_reset_the_back_off() {
        let sent = sent(3600, |s| Content { what: s.unsigned_abs(), ground: 1 }, |_| Ended::Failed);
        assert!(sent.len() <= 22, "{sent:?}");
    }

    #[test]
    fn a_change_by_a_user_is_tried_after_one_second() {
        let mut tries = None;
        for n in 0..8 {
            tries = Some(Tries::after(tries.as_ref(), A, Ended::Failed, at(n * 400)));
        }
        let (tries, b) = (tries.unwrap(), Content { what: 2, ground: 2 });
        assert!(tries.not_before(A, "x", at(2900)).is_some());
        assert_eq!(tries.not_before(b, "x", at(2800)), Some(at(2801)));
        assert_eq!(tries.not_before(b, "x", at(2801)), None);
        assert_eq!(Tries::after(Some(&tries), b, Ended::Failed, at(2801)).failed(), 1);
    }

    #[test]
    fn an_accepted_request_that_repeats_backs_off_despite_refusals_in_between() {
        let taken = sent(3600, |_| A, |_| Ended::Taken);
        assert!(taken.len() <= 22, "{taken:?}");
        let by_turns = sent(3600, |_| A, |n| if n % 2 == 0 { Ended::Taken } else { Ended::Failed });
        assert!(by_turns.len() <= 44, "{by_turns:?}");
    }

    #[test]
    fn new_content_after_an_accepted_request_does_not_wait() {
        let tries = Tries::after(None, A, Ended::Taken, at(0));
        assert_eq!(tries.not_before(Content { what: 2, ground: 1 }, "x", at(0)), None);
        assert!(tries.not_before(A, "x", at(0)).is_some());
        assert_eq!(tries.not_before(A, "x", at(600)), None, "the request is no repetition after ten minutes");
    }

    #[test]
    fn a_conflict_is_retried_quickly_at_first() {
        let sent = sent(3600, |_| A, |_| Ended::Outrun);
        assert!(sent[1] <= 0.4 && sent[4] <= 5.0 && sent.len() <= 25, "{sent:?}");
        let tries = Tries::after(None, A, Ended::Outrun, at(0));
        assert!(!Tries::after(Some(&tries), A, Ended::Taken, at(1)).is_failing());
    }

    #[test]
    fn a_woken_request_waits_at_most_one_second_and_only_once() {
        let mut tries = None;
        for n in 0..9 {
            tries = Some(Tries::after(tries.as_ref(), A, Ended::Failed, at(n)));
        }
        let mut tries = tries.unwrap();
        assert!(tries.wake() && !tries.wake());
        assert_eq!(tries.not_before(A, "x", at(9)), None);
        let again = Tries::after(Some(&tries), A, Ended::Failed, at(9));
        assert!(again.not_before(A, "x", at(9 + 255)).is_some(), "a failed try does not shorten the wait");
    }
}
