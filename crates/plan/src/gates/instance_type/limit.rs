//! The limit of an instance type for which EC2 refused an Attach, by EC2's code and words.

use super::Subject;
use crate::ec2_errors::Call;
use crate::ec2_message_table::Message;
use crate::failure::Failure;

/// What EC2 refused: an ENI that asks for at least as much is refused too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Limit {
    /// So many interfaces on the network card and on the instance.
    Interfaces { on: i32, on_card: usize, in_all: usize },
    /// The network card.
    Card { on: i32 },
    /// The device index on the network card.
    Index { on: i32, index: i32 },
    /// So many IPv4 and IPv6 addresses.
    Addresses { ipv4: i32, ipv6: i32 },
}

impl Limit {
    /// The limit that this refused Attach shows; None if the cause is another one.
    ///
    /// EC2's words for a card or an index beyond the type's are not known, so any `InvalidParameterValue` about them counts, but
    /// the one for an occupied slot.
    pub(super) fn of(subject: &Subject<'_>, failure: &Failure) -> Option<Self> {
        let (code, text) = (failure.code.as_str(), failure.message.as_str());
        let (on, index) = (subject.on, subject.index);
        match code {
            "AttachmentLimitExceeded" => {
                let counted = Message::InterfaceCount.number_in(text);
                // A known limit explains the refusal: a neighbour took the room, or a volume did.
                if subject.is_known && counted.is_none_or(|counted| subject.most.is_some_and(|most| counted > most)) {
                    return None;
                }
                // EC2's count includes interfaces that a lookup does not show yet.
                let in_all = subject.in_all.max(counted.unwrap_or(0));
                let on_card = if subject.on_card == subject.in_all { in_all } else { subject.on_card };
                Some(Self::Interfaces { on, on_card, in_all })
            }
            "InvalidInterface.IpAddressLimitExceeded" | "PrivateIpAddressLimitExceeded" => {
                let (ipv4, ipv6) = subject.addresses;
                // Known limits are checked before the Create. More addresses than were asked for came from somebody else.
                let is_own = Message::AddressCount
                    .number_in(text)
                    .is_some_and(|counted| usize::try_from(ipv4.max(ipv6)).is_ok_and(|asked| counted <= asked));
                (!subject.is_known && is_own).then_some(Self::Addresses { ipv4, ipv6 })
            }
            _ if is_of_an_index(failure) => Some(Self::Index { on, index }),
            _ if Message::SlotTaken.is(code, text) => None,
            _ if Message::NoSuchCard.is(code, text) => Some(Self::Card { on }),
            _ => None,
        }
    }

    /// The refused device index, if it is of this network card.
    pub(super) fn index_on(&self, card: i32) -> Option<i32> {
        match self {
            Self::Index { on, index } if *on == card => Some(*index),
            Self::Index { .. } | Self::Interfaces { .. } | Self::Card { .. } | Self::Addresses { .. } => None,
        }
    }

    pub(super) fn applies_to(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::Interfaces { on, on_card, in_all } => {
                subject.on == *on && subject.on_card >= *on_card && subject.in_all >= *in_all
            }
            Self::Card { on } => subject.on == *on,
            Self::Index { on, index } => subject.on == *on && subject.index >= *index,
            Self::Addresses { ipv4, ipv6 } => subject.addresses.0 >= *ipv4 && subject.addresses.1 >= *ipv6,
        }
    }
}

/// Whether a limit of the instance type is the cause of this error of an Attach. DescribeInstanceTypes shows these limits.
pub fn is_of_a_type(code: &str, text: &str) -> bool {
    let is_count =
        ["AttachmentLimitExceeded", "InvalidInterface.IpAddressLimitExceeded", "PrivateIpAddressLimitExceeded"];
    let is_place = Message::IndexBeyondCard.is(code, text) || Message::NoSuchCard.is(code, text);
    is_count.contains(&code) || is_place && !Message::SlotTaken.is(code, text)
}

/// Whether EC2 refused this Attach because the instance type has no such device index. An occupied index is another matter.
pub fn is_of_an_index(failure: &Failure) -> bool {
    let (code, text) = (failure.code.as_str(), failure.message.as_str());
    failure.call == Call::Attach && Message::IndexBeyondCard.is(code, text) && !Message::SlotTaken.is(code, text)
}
