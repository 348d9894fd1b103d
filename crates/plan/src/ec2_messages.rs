//! EC2's messages, prepared for a status: text that differs with each request is removed, or ignored in comparisons.

use crate::ec2_errors::CallError;
use crate::ec2_message_table::Message;

/// The message without the encoded part.
pub fn shortened(message: &str) -> String {
    message.split(Message::Encoded.row().words).next().unwrap_or_default().trim_end().to_owned()
}

/// EC2's message, or why there was no answer, fit for a status.
pub fn words_of(error: &CallError) -> String {
    match error {
        CallError::Answered { message, .. } => shortened(message),
        other => other.to_string(),
    }
}

/// Whether two messages are equal apart from request IDs, times, numbers and encoded parts.
pub fn says_the_same(a: &str, b: &str) -> bool {
    let words = |text: &str| {
        let words = text.split(|c: char| c.is_whitespace() || "()[]<>'\",;:=".contains(c)).filter(|word| !varies(word));
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    a == b || words(&shortened(a)) == words(&shortened(b))
}

/// Whether the word is a request ID, a time, a number or an encoded part. The ID of an EC2 resource is none of these.
fn varies(word: &str) -> bool {
    const NAMES: [&str; 8] = ["eni-", "i-", "subnet-", "sg-", "vpc-", "arn", "interface-", "eni-attach-"];
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let is_name = NAMES.iter().any(|name| word.starts_with(name)) || word.contains("subnet/") || word.contains('.');
    !is_name && (digits >= 4 || digits > 0 && word.len() >= 16 || word.len() >= 60)
}

/// What to do about an UnauthorizedOperation, by the permission and the kind of policy that its message names.
pub fn advice_on_permission(action: &str, message: &str) -> String {
    let after = message.split(Message::NamesAction.row().words).nth(1);
    let named = after.and_then(|rest| rest.split_whitespace().next());
    let named = named.map_or_else(|| format!("ec2:{action}"), |named| named.trim_end_matches('.').to_owned());
    let is_denied = Message::ExplicitDeny.is_part_of(message);
    match policy(message) {
        Some(policy) if is_denied => {
            format!("Remove the statement in {policy} that explicitly denies {named} to the controller's IAM role")
        }
        None if is_denied => {
            format!("Remove the statement that explicitly denies {named} to the controller's IAM role")
        }
        Some(policy) if !Message::OfIdentityPolicy.is_part_of(message) => format!("Allow {named} in {policy}"),
        Some(_) | None => format!("Allow the controller's IAM role {named}"),
    }
}

/// The policy that decided, as an operator looks for it. None: the message names no kind of policy.
fn policy(message: &str) -> Option<&'static str> {
    let kinds = [
        (Message::OfServiceControlPolicy, "the organization's service control policy"),
        (Message::OfResourceControlPolicy, "the organization's resource control policy"),
        (Message::OfPermissionsBoundary, "the permissions boundary of the controller's IAM role"),
        (Message::OfSessionPolicy, "the session policy with which the controller's IAM role is assumed"),
        (Message::OfEndpointPolicy, "the policy of the VPC endpoint for EC2"),
        (Message::OfResourcePolicy, "the resource-based policy of the resource that the message names"),
        (Message::OfIdentityPolicy, "the identity-based policies of the controller's IAM role"),
    ];
    kinds.into_iter().find(|(kind, _)| kind.is_part_of(message)).map(|(_, policy)| policy)
}

/// Where the part of an UnauthorizedOperation is that conditions leave out.
pub const WHOLE_MESSAGE: &str = "The log has the whole message: decode it with aws sts decode-authorization-message";

/// The same for a call that changes something, and what happens until then.
pub fn allow(action: &str, message: &str) -> String {
    let advice = advice_on_permission(action, message);
    format!("{advice}; the controller tries one call a minute, and so detects the change within 2 min. {WHOLE_MESSAGE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_do_not_make_messages_differ_and_resource_ids_do() {
        let blob = |text: &str| format!("You are not authorized. Encoded authorization failure message: {text}");
        assert!(says_the_same(&blob("p3aI9"), &blob("g4oZ1")));
        assert_eq!(shortened(&blob("p3aI9")), "You are not authorized.");
        let id = |id: &str| format!("Internal error (Request ID: {id})");
        assert!(says_the_same(
            &id("8f2d1c00-1111-4222-8333-abcdefabcdef"),
            &id("00000000-1111-4222-8333-abcdefabcdef")
        ));
        assert!(!says_the_same("eni-00000001 is in use", "eni-00000002 is in use"));
        assert!(!says_the_same("no room", "no right"));
    }

    #[test]
    fn the_advice_names_the_permission_in_the_message() {
        let denied = |action: &str, why: &str| {
            format!(
                "User: arn:aws:sts::111122223333:assumed-role/a is not authorized to perform: ec2:{action} on resource: x {why}"
            )
        };
        let of = |action, why: &str| allow("CreateNetworkInterface", &denied(action, why));
        assert!(
            of("CreateTags", "because no identity-based policy allows it")
                .starts_with("Allow the controller's IAM role ec2:CreateTags;")
        );
        let no_kind = "Remove the statement that explicitly denies ec2:CreateTags to";
        assert!(of("CreateTags", "with an explicit deny").starts_with(no_kind));
        for (kind, policy) in [
            ("a service control policy", "the organization's service control policy"),
            ("a resource control policy", "the organization's resource control policy"),
            ("a permissions boundary", "the permissions boundary of the controller's IAM role"),
            ("a session policy", "the session policy with which the controller's IAM role is assumed"),
            ("a VPC endpoint policy", "the policy of the VPC endpoint for EC2"),
            ("a resource-based policy", "the resource-based policy of the resource that the message names"),
        ] {
            let denied = of("CreateTags", &format!("with an explicit deny in {kind}"));
            let words = format!("Remove the statement in {policy} that explicitly denies ec2:CreateTags to");
            assert!(denied.starts_with(&words), "{denied}");
            let kind = kind.trim_start_matches("a ");
            let lacking = of("CreateTags", &format!("because no {kind} allows the ec2:CreateTags action"));
            assert!(lacking.starts_with(&format!("Allow ec2:CreateTags in {policy};")), "{lacking}");
        }
        let identity = of("CreateTags", "with an explicit deny in an identity-based policy");
        assert!(identity.contains("in the identity-based policies of the controller's IAM role"), "{identity}");
        let short = allow("DeleteNetworkInterface", "You are not authorized.");
        assert!(short.contains("ec2:DeleteNetworkInterface") && short.ends_with(WHOLE_MESSAGE), "{short}");
    }
}
