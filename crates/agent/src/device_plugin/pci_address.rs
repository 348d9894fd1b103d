//! The address of a PCI device, such as 0000:00:06.0. It is the ID of a device for kubelet, as with the SR-IOV network device plugin.

use std::fmt;
use std::str::FromStr;

/// The address of a PCI device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress(String);

/// A text that is no PCI address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a PCI address such as 0000:00:06.0")]
pub struct NotAPciAddress(String);

/// The digits and separators of an address. `x` is a hexadecimal digit.
const FORM: &str = "xxxx:xx:xx.x";

impl FromStr for PciAddress {
    type Err = NotAPciAddress;

    fn from_str(text: &str) -> Result<Self, NotAPciAddress> {
        let fits = |(c, form): (char, char)| if form == 'x' { c.is_ascii_hexdigit() } else { c == form };
        let is_address = text.len() == FORM.len() && text.chars().zip(FORM.chars()).all(fits);
        if is_address { Ok(Self(text.to_ascii_lowercase())) } else { Err(NotAPciAddress(text.to_owned())) }
    }
}

impl PciAddress {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

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
        for wrong in
            ["", "0000:00:06", "00:06.0", "0000:00:06.00", "0000/00:06.0", "../../:06.0", "0000:00:0g.0", "ens6"]
        {
            assert!(wrong.parse::<PciAddress>().is_err(), "{wrong}");
        }
    }
}
