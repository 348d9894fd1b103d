//! The words for a failed call: the reason of the condition, and the message with what to do.

use crate::api_time::whole_second;
use crate::ec2_errors::{Call, Class};
use crate::ec2_message_table::Message;
use crate::ec2_messages::allow;
use crate::failure::Failure;
use crate::gates::quota;

/// What a user can do about a full subnet.
pub(super) const FREE_ADDRESSES: &str = "Free addresses in the subnet or add another subnet of the zone";

/// The reason of the conditions for a failure that needs a person.
pub(super) fn reason(failure: &Failure) -> &'static str {
    match failure.class {
        Class::SlotTaken => "DeviceIndexTaken",
        Class::Limit => "LimitExceeded",
        Class::SubnetFull => "SubnetFull",
        Class::Credentials => "Credentials",
        Class::Unauthorized => "Unauthorized",
        Class::ReferenceNotFound => "ReferenceNotFound",
        Class::InstanceNotFound => "InstanceNotFound",
        Class::Permanent => "Refused",
        Class::Unknown => "EC2Unreachable",
        Class::Retry | Class::Throttled | Class::AlreadySo | Class::Wait => "EC2Refuses",
        Class::EniNotFound | Class::InstanceState | Class::TokenMismatch => "EC2Refuses",
        Class::Blocked => "Blocked",
    }
}

/// The message for a failure: what happened, and what to do.
pub(super) fn advice(failure: &Failure) -> String {
    let Failure { call, class, code, message, .. } = failure;
    let action = call.action();
    let said = format!("{action} answered {code}: {}", message.trim_end_matches('.'));
    match class {
        Class::Unauthorized => format!("{said}. {}", allow(action, message)),
        Class::Retry
        | Class::AlreadySo
        | Class::Wait
        | Class::EniNotFound
        | Class::InstanceState
        | Class::TokenMismatch
        | Class::Throttled
            if failure.is_lasting() =>
        {
            let remedy = lasting_remedy(*call);
            format!(
                "{said}. The call has failed since {}. {remedy}; the controller retries every 5 min",
                whole_second(failure.failing_since()).0
            )
        }
        Class::Permanent if code == "AuthFailure" => {
            format!(
                "{said}. The credentials are valid, but the resource belongs to another account or AWS service: ask its owner to \
                 release it"
            )
        }
        Class::Permanent if code.contains("IpAddressLimitExceeded") => {
            format!("{said}. Ask for fewer addresses, or select nodes of a larger instance type")
        }
        Class::Permanent if Message::GroupMemberships.is(code, message) => {
            format!("{said}. Name fewer security groups, or raise the quota of security groups per network interface")
        }
        Class::Credentials if code == "NotSent" => {
            format!("{action} was {message}. Check the controller's AWS credentials, Region and network")
        }
        Class::Credentials => format!("{said}. Check the controller's AWS credentials"),
        Class::SubnetFull => format!("{said}. {FREE_ADDRESSES}"),
        Class::Limit if code == quota::CODE => format!(
            "{said}. Raise the quota of network interfaces of the Region, or delete unused ones; the controller tries one Create \
             every 10 min, and more after a success"
        ),
        Class::Limit => format!("{said}. Raise the quota, or delete resources that count toward it"),
        Class::ReferenceNotFound => format!("{said}. Correct the NodeENI, or create the missing resource"),
        Class::SlotTaken => format!("{said}. Use another deviceIndex, or free this one"),
        Class::Permanent if matches!(call, Call::Detach | Call::Delete) => {
            format!("{said}. {}; the controller retries every 10 min", lasting_remedy(*call))
        }
        // EC2 refuses a Create also because of what the call names: a subnet without an IPv6 CIDR block, for instance.
        Class::Permanent if *call == Call::Create => {
            format!("{said}. Correct the NodeENI, or the subnet or the security groups that it names")
        }
        Class::Permanent => format!("{said}. Correct the NodeENI"),
        Class::InstanceNotFound => format!("{said}. The Node's providerID names an instance that EC2 does not know"),
        Class::Unknown => format!("{action} got no answer ({message}): looking up its result"),
        Class::Throttled => format!("EC2 throttles {action}: the controller retries within the rate limit"),
        Class::Blocked if *call == Call::Attach && code == "AttachmentLimitExceeded" => {
            format!(
                "{said}. Remove an interface from the instance, or use a larger instance type; the controller retries after 5 \
                 min, and deletes the ENI after 10 min"
            )
        }
        Class::Blocked => format!("{said}. The controller retries every 5 to 10 min"),
        Class::Retry
        | Class::AlreadySo
        | Class::Wait
        | Class::EniNotFound
        | Class::InstanceState
        | Class::TokenMismatch => {
            format!("{said}. The controller retries")
        }
    }
}

/// What may help if EC2 gives the same answer for minutes.
fn lasting_remedy(call: Call) -> &'static str {
    match call {
        Call::Delete => {
            "Find out what still uses the ENI (aws ec2 describe-network-interfaces shows its attachment and requester)"
        }
        Call::Detach => {
            "Check the instance; as a last resort run aws ec2 detach-network-interface --force, which may make the device index \
             unusable"
        }
        Call::Create | Call::Attach | Call::Modify | Call::Tag | Call::Untag | Call::Describe => {
            "Check the instance and the ENI on EC2, and the AWS Health Dashboard"
        }
    }
}
