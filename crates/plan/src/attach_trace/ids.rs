//! The IDs of traces and spans. They are computed from the UID of the ENIAttachment, not drawn at random.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::fmt;

/// The ID of a trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

/// The ID of a span.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// The trace of the ENIAttachment with this UID: the UID without its dashes, so that a person finds the trace. A UID that
    /// is no UUID gives a digest.
    pub fn of(uid: &str) -> Self {
        Self(uuid(uid).unwrap_or_else(|| first(&[uid])))
    }
}

impl SpanId {
    /// The root span of the trace of the ENIAttachment with this UID.
    pub fn root(uid: &str) -> Self {
        Self(first(&[uid, "root"]))
    }

    /// The span of this name that began then.
    pub fn child(uid: &str, name: &str, start: Timestamp) -> Self {
        Self(first(&[uid, name, &start.as_nanosecond().to_string()]))
    }
}

/// The 16 bytes of a UUID. All zeros are no valid trace ID.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| *c != '-')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    let bytes: [u8; 16] = if digits.len() == 32 { bytes.try_into().ok()? } else { return None };
    bytes.iter().any(|byte| *byte != 0).then_some(bytes)
}

/// The first bytes of a digest of all parts.
fn first<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
        digest.update([0]);
    }
    let digest = digest.finalize();
    let mut bytes = [0; N];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    bytes
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}
