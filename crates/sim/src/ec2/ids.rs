//! Identifiers, MACs and chance: all from a seed and counters.

use super::refusal::Refusal;

/// SplitMix64: small, seedable, the same everywhere.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        match high.saturating_sub(low).checked_add(1) {
            Some(1) => low,
            Some(span) => low + self.next() % span,
            None => self.next(),
        }
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Hands out identifiers. Each mixes the seed with a counter, bijectively: no two are the same.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    seed: u64,
    handed_out: u64,
}

impl Ids {
    pub fn new(seed: u64) -> Self {
        Self { seed: mix(seed), handed_out: 0 }
    }

    /// `prefix-0…` with 17 hex digits.
    pub fn next(&mut self, prefix: &str) -> String {
        format!("{prefix}-0{:016x}", self.number())
    }

    pub fn request_id(&mut self) -> String {
        let (a, b) = (self.number(), self.number());
        let (low, mid) = (a & 0xffff, (a >> 16) & 0xffff);
        format!("{:08x}-{mid:04x}-{low:04x}-{:04x}-{:012x}", a >> 32, b >> 48, b & 0xffff_ffff_ffff)
    }

    /// Locally administered and unicast. An odd factor is a bijection on 40 bits, so it is unique.
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

/// Kinds of ID that EC2 checks for form before it looks them up.
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

    /// 8 to 17 hex digits after the prefix: the design's bound (`docs`: EC2 hands out 8 or 17).
    pub fn check(self, id: &str) -> Result<(), Refusal> {
        let (prefix, code) = self.rules();
        match id.strip_prefix(prefix) {
            Some(rest) if well_formed(rest) => Ok(()),
            _ => Err(Refusal::new(code, format!("Invalid id: \"{id}\" (expecting \"{prefix}...\")"))),
        }
    }
}

pub(super) fn well_formed(hex: &str) -> bool {
    (8..=17).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
