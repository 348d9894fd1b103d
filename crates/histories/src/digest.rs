//! A digest of a whole trace: two histories with the same one were the same, byte for byte.

use sha2::{Digest, Sha256};

/// Sixteen hex digits.
pub fn of(trace: &[String]) -> String {
    let mut hash = Sha256::new();
    for line in trace {
        hash.update(line);
        hash.update("\n");
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
