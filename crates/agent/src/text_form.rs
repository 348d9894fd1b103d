//! Types that stand as text in JSON, such as a MAC address: written by `Display` and read by `FromStr`.

/// Gives a type the conversions by which `#[serde(try_from = "String", into = "String")]` reads and writes it.
macro_rules! text_form {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = <Self as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

pub(crate) use text_form;

#[cfg(test)]
mod tests {
    use crate::node::Mac;
    use crate::pci_address::PciAddress;

    #[test]
    fn an_address_is_stored_as_its_text_and_read_by_its_own_rules() {
        let mac: Mac = serde_json::from_str("\"02-00-00-00-00-0A\"").unwrap();
        let pci: PciAddress = serde_json::from_str("\"0000:00:0A.1\"").unwrap();
        assert_eq!(serde_json::to_string(&(mac, pci)).unwrap(), "[\"02:00:00:00:00:0a\",\"0000:00:0a.1\"]");
        let refused = serde_json::from_str::<Mac>("\"02:00\"").unwrap_err().to_string();
        assert!(refused.contains("is not a MAC address"), "{refused}");
        let refused = serde_json::from_str::<PciAddress>("\"../../:06.0\"").unwrap_err().to_string();
        assert!(refused.contains("is not a PCI address"), "{refused}");
    }
}
