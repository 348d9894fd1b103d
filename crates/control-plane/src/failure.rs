//! Why a test failed.

use std::fmt;

/// Why a test failed. A test's error is shown by Debug, which would print a log as one line full of `\n`.
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
