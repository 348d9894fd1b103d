//! The digest of a whole trace. Two histories with the same digest have the same trace, byte for byte.

use sha2::{Digest, Sha256};

/// The digest as sixteen hex digits.
pub fn of(trace: &[String]) -> String {
    let mut hash = Sha256::new();
    for line in trace {
        hash.update(line);
        hash.update("\n");
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
