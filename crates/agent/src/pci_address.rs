//! The address of a PCI function: what names the device of an ENI in sysfs, in the ledgers and for kubelet.

use crate::text_form::text_form;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The address of a PCI function, such as 0000:00:06.0, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PciAddress(String);

/// A text that is no PCI address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a PCI address such as 0000:00:06.0")]
pub struct NotAPciAddress(String);

impl FromStr for PciAddress {
    type Err = NotAPciAddress;

    fn from_str(text: &str) -> Result<Self, NotAPciAddress> {
        let is_hex = |part: &str, lengths: &[usize]| {
            lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let mut parts = text.split(':');
        let (domain, bus, slot) = (parts.next(), parts.next(), parts.next());
        let is_address = match (domain, bus, slot.and_then(|slot| slot.split_once('.'))) {
            (Some(domain), Some(bus), Some((device, function))) => {
                // Behind a VMD, the domain has more digits.
                is_hex(domain, &[4, 5, 6, 7, 8])
                    && is_hex(bus, &[2])
                    && is_hex(device, &[2])
                    // A bus has 32 devices.
                    && device.starts_with(['0', '1'])
                    && function.len() == 1
                    && function.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
            }
            _ => false,
        };
        if is_address && parts.next().is_none() {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NotAPciAddress(text.to_owned()))
        }
    }
}

impl PciAddress {
    /// The address as text. It is safe as a part of a path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_form!(PciAddress);

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_lower_case_and_nothing_else_is() {
        assert_eq!("0000:00:0A.1".parse::<PciAddress>().unwrap().as_str(), "0000:00:0a.1");
        assert!("10000:01:00.0".parse::<PciAddress>().is_ok(), "behind a VMD");
        for wrong in [
            "",
            "0000:00:06",
            "00:06.0",
            "0000:00:06.00",
            "0000:00:06.8",
            "0000:00:6.0",
            "0000:00:06.0:1",
            "0000/00:06.0",
            "../../:06.0",
            "0000:00:0g.0",
            "0000:00:20.0",
            "ens6",
            "virtio3",
        ] {
            assert!(wrong.parse::<PciAddress>().is_err(), "{wrong}");
        }
    }
}
