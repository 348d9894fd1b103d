//! The error type of tests that use the control plane.

use std::fmt;

/// Why a test failed. Rust prints a test's error by Debug; this type prints a log in lines instead of one line
/// full of `\n`.
pub struct Failure(String);

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S: Into<String>> From<S> for Failure {
    fn from(reason: S) -> Self {
        Self(reason.into())
    }
}
