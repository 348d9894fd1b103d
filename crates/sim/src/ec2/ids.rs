//! Resource IDs, request IDs and MAC addresses, made from a seed and a counter; and the check of an ID's form.

use super::api_error::ApiError;
use super::rng::mix;

/// Makes identifiers. Each is a bijection of the seed plus a counter, so no two are the same.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    seed: u64,
    handed_out: u64,
}

impl Ids {
    pub fn new(seed: u64) -> Self {
        Self { seed: mix(seed), handed_out: 0 }
    }

    /// The next resource ID: `prefix-0…` with 17 hex digits.
    pub fn next(&mut self, prefix: &str) -> String {
        format!("{prefix}-0{:016x}", self.number())
    }

    /// The next request ID, in the form of a UUID.
    pub fn request_id(&mut self) -> String {
        let (a, b) = (self.number(), self.number());
        let (low, mid) = (a & 0xffff, (a >> 16) & 0xffff);
        format!("{:08x}-{mid:04x}-{low:04x}-{:04x}-{:012x}", a >> 32, b >> 48, b & 0xffff_ffff_ffff)
    }

    /// The next MAC address, locally administered and unicast. It is unique, as an odd factor is a bijection on 40 bits.
    pub fn mac(&mut self) -> String {
        self.handed_out += 1;
        let n = self.handed_out.wrapping_mul(0x6A_09E6_67F3) & 0xff_ffff_ffff;
        let [.., a, b, c, d, e] = n.to_be_bytes();
        format!("02:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}")
    }

    fn number(&mut self) -> u64 {
        self.handed_out += 1;
        mix(self.seed.wrapping_add(self.handed_out))
    }
}

/// The kinds of resource ID whose form EC2 checks before the lookup.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Eni,
    Subnet,
    Group,
    Instance,
}

impl Kind {
    fn rules(self) -> (&'static str, &'static str) {
        match self {
            Self::Eni => ("eni-", "InvalidNetworkInterfaceID.Malformed"),
            Self::Subnet => ("subnet-", "InvalidSubnetID.Malformed"),
            Self::Group => ("sg-", "InvalidGroupId.Malformed"),
            Self::Instance => ("i-", "InvalidInstanceID.Malformed"),
        }
    }

    /// Refuses an ID that does not have 8 to 17 hex digits after the prefix. EC2 documents IDs of 8 and of 17 digits.
    pub fn check(self, id: &str) -> Result<(), ApiError> {
        let (prefix, code) = self.rules();
        match id.strip_prefix(prefix) {
            Some(rest) if well_formed(rest) => Ok(()),
            _ => Err(ApiError::new(code, format!("Invalid id: \"{id}\" (expecting \"{prefix}...\")"))),
        }
    }
}

/// Whether an ID's part after the prefix has 8 to 17 lower-case hex digits.
pub(super) fn well_formed(hex: &str) -> bool {
    (8..=17).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
