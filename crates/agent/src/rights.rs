//! The rights that the agent needs on the node.

use std::io;

/// The number of CAP_NET_ADMIN.
const CAP_NET_ADMIN: u32 = 12;

/// Checks that the process may change the network.
///
/// # Errors
/// A sentence that says which right is missing.
pub fn check() -> io::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    if has_net_admin(&status) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "the process lacks CAP_NET_ADMIN: run the agent as root with the capability NET_ADMIN, in the network namespace of the node",
    ))
}

/// Reads the effective capabilities of /proc/PID/status.
fn has_net_admin(status: &str) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
    bits & (1 << CAP_NET_ADMIN) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_capability_is_one_bit_of_the_effective_set() {
        assert!(has_net_admin("Name:\tx\nCapEff:\t0000000000001000\n"));
        assert!(has_net_admin("CapEff:\t000001ffffffffff\n"));
        assert!(!has_net_admin("CapEff:\t0000000000002000\n"));
        assert!(!has_net_admin("Name:\tx\n"));
    }
}
