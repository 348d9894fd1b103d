//! The words of EC2's messages on which decisions and advice depend, in one table: with the codes, the meaning and the source. A
//! code decides wherever it can; this table is for codes with several meanings. The file imports nothing of this crate.

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The error codes with which EC2 sends the message.
    pub codes: &'static [&'static str],
    /// A part of the message. Case does not matter.
    pub words: &'static str,
    /// What the message means.
    pub meaning: &'static str,
    /// Where the words were recorded or documented.
    pub source: &'static str,
}

macro_rules! table {
    ($($name:ident: $codes:expr, $words:literal, $meaning:literal, $source:expr;)+) => {
        /// A message of EC2.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Message {
            $(#[doc = $meaning] $name),+
        }

        impl Message {
            /// All messages of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The row of the message.
            pub fn row(self) -> Row {
                match self {
                    $(Self::$name => Row { codes: $codes, words: $words, meaning: $meaning, source: $source }),+
                }
            }
        }
    };
}

const VALUE: &[&str] = &["InvalidParameterValue"];
const DENIED: &[&str] = &["UnauthorizedOperation"];
const IAM_GUIDE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html";

table! {
    TooFewFreeAddresses: VALUE, "sufficient free Ipv4 addresses or prefixes",
        "The subnet has too few free addresses for the call, whichever call it is.",
        "https://github.com/aws/amazon-vpc-cni-k8s/issues/3105, https://github.com/cilium/cilium/issues/31016";
    SlotTaken: VALUE, "already has an interface attached",
        "Another ENI is at the device index of the instance.",
        "https://github.com/lstoll/k8s-vpcnet/issues/71, https://github.com/cilium/cilium/issues/42512";
    IndexBeyondCard: VALUE, "device index",
        "The network card has no such device index, unless another row has the message.",
        "https://github.com/aws/aws-parallelcluster/issues/4278 (only the outcome: EC2's words are not known)";
    NoSuchCard: VALUE, "network card",
        "The instance type has no such network card, unless another row has the message.",
        "https://github.com/aws/aws-parallelcluster/issues/4278 (only the outcome: EC2's words are not known)";
    InterfaceCount: &["AttachmentLimitExceeded"], "interface count",
        "The number follows that the instance would have.",
        "https://github.com/cilium/cilium/issues/15877";
    AddressCount: &["InvalidInterface.IpAddressLimitExceeded", "PrivateIpAddressLimitExceeded"], "address count",
        "The number follows that the ENI would have.",
        "https://github.com/cilium/cilium/issues/9730";
    InUse: VALUE, "currently in use",
        "The ENI is still attached or being detached.",
        "https://github.com/aws/amazon-vpc-cni-k8s/issues/1399";
    OfAnotherOwner: &["AuthFailure"], "permission to access the specified resource",
        "The credentials are valid: the resource belongs to another account or service.",
        "https://github.com/aws/aws-k8s-tester/issues/70";
    DifferentNetworks: &["InvalidGroup.NotFound"], "belong to different networks",
        "The security group exists, in another VPC.",
        "https://github.com/kubernetes-sigs/cluster-api-provider-aws/issues/3943";
    GroupMemberships: VALUE, "security group memberships",
        "The ENI would have more security groups than the quota permits.",
        "https://github.com/aws/amazon-vpc-resource-controller-k8s/issues/583";
    ManagedResourcesUnknown: &["UnknownParameter", "InvalidParameter"], "IncludeManagedResources",
        "The endpoint is older than this parameter of Describe calls.",
        "https://github.com/boto/boto3/issues/2905 (the form of the message, for another parameter)";
    NamesAction: DENIED, "not authorized to perform:",
        "The IAM action that is denied follows.",
        "https://github.com/terraform-aws-modules/terraform-aws-eks/issues/3598";
    ExplicitDeny: DENIED, "explicit deny",
        "A statement denies the action. Another statement that allows it does not help.",
        "https://github.com/aws/karpenter-provider-aws/issues/7370";
    OfIdentityPolicy: DENIED, "identity-based policy",
        "The policies of the IAM role decide.",
        "https://github.com/terraform-aws-modules/terraform-aws-eks/issues/3598";
    OfServiceControlPolicy: DENIED, "service control policy",
        "A service control policy of the AWS organization decides.",
        "https://github.com/aws/karpenter-provider-aws/issues/7370";
    OfResourceControlPolicy: DENIED, "resource control policy",
        "A resource control policy of the AWS organization decides.",
        IAM_GUIDE;
    OfPermissionsBoundary: DENIED, "permissions boundary",
        "The permissions boundary of the IAM role decides.",
        IAM_GUIDE;
    OfSessionPolicy: DENIED, "session policy",
        "The policy of the session decides, with which the role was assumed.",
        IAM_GUIDE;
    OfEndpointPolicy: DENIED, "VPC endpoint policy",
        "The policy of the VPC endpoint decides, through which the call was sent.",
        IAM_GUIDE;
    OfResourcePolicy: DENIED, "resource-based policy",
        "The policy of the resource decides.",
        IAM_GUIDE;
    Encoded: DENIED, "Encoded authorization failure message:",
        "The rest of the message encodes the request and differs each time.",
        "https://github.com/aws/karpenter-provider-aws/issues/1536";
}

impl Message {
    /// Whether EC2's answer with this code and this text is the message.
    pub fn is(self, code: &str, text: &str) -> bool {
        self.row().codes.contains(&code) && self.is_part_of(text)
    }

    /// Whether the text has the words, whatever its code.
    pub fn is_part_of(self, text: &str) -> bool {
        text.to_ascii_lowercase().contains(&self.row().words.to_ascii_lowercase())
    }

    /// The number that follows the words; None if no number follows, or if the text does not have the words.
    pub fn number_in(self, text: &str) -> Option<usize> {
        let text = text.to_ascii_lowercase();
        let (_, rest) = text.split_once(&self.row().words.to_ascii_lowercase())?;
        rest.split_whitespace().next()?.parse().ok()
    }
}

#[cfg(test)]
mod literals_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_known_by_code_and_words() {
        let text = "Network interface 'eni-1' is Currently In Use.";
        assert!(Message::InUse.is("InvalidParameterValue", text));
        assert!(!Message::InUse.is("InvalidNetworkInterface.InUse", text));
        assert!(!Message::SlotTaken.is("InvalidParameterValue", text));
    }

    #[test]
    fn the_number_after_the_words_is_read() {
        let count = |text| Message::InterfaceCount.number_in(text);
        assert_eq!(count("Interface count 4 exceeds the limit for t3.medium"), Some(4));
        assert_eq!(count("Interface count is above the limit"), None);
        assert_eq!(count("the limit of attachments is reached"), None);
        assert_eq!(Message::AddressCount.number_in("Address count 31 on interface-1 exceeds the limit"), Some(31));
    }

    /// Two rows with one code must not be confused.
    #[test]
    fn each_row_has_words_of_its_own_and_a_source() {
        for message in Message::ALL {
            let row = message.row();
            assert!(!row.codes.is_empty() && !row.meaning.is_empty() && row.source.starts_with("https://"), "{row:?}");
            let others = Message::ALL.iter().filter(|other| other != &message);
            for other in others.filter(|other| other.row().codes.iter().any(|code| row.codes.contains(code))) {
                assert!(!other.is_part_of(row.words), "{message:?} has the words of {other:?}");
            }
        }
    }
}
