//! Patterns of IAM: `*` stands for any characters, `?` for one.

/// Whether the text matches the pattern.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // The place after the last `*` of the pattern, and how much of the text that `*` covers.
    let (mut star, mut p, mut t) = (None, 0, 0);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(char) if *char == '?' || *char == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((after, covered)) => {
                    star = Some((after, covered + 1));
                    (p, t) = (after, covered + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|char| *char == '*')
}

/// Whether an ARN matches the pattern, part by part: a wildcard does not reach over one of the first five colons.
pub(super) fn matches_arn(pattern: &str, arn: &str) -> bool {
    let (patterns, parts): (Vec<&str>, Vec<&str>) = (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(pattern, part)| matches(pattern, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_characters() {
        for (pattern, text) in [("*", ""), ("a*c", "abbc"), ("a*c", "ac"), ("a?c", "abc"), ("*b*", "abc"), ("a**", "a")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a*c", "abcd"), ("a?c", "ac"), ("abc", "ab"), ("ab", "abc")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_wildcard_of_an_arn_stays_in_its_part() {
        assert!(matches_arn("arn:aws:ec2:*:*:subnet/*", "arn:aws:ec2:eu-central-1:1:subnet/subnet-1"));
        assert!(!matches_arn("arn:aws:ec2:*:*", "arn:aws:ec2:eu-central-1:1:subnet/subnet-1"));
        assert!(!matches_arn("arn:aws:ec2:*:subnet/*", "arn:aws:ec2:eu-central-1:1:subnet/subnet-1"));
        assert!(!matches_arn("arn:aws-cn:ec2:*:*:subnet/*", "arn:aws:ec2:eu-central-1:1:subnet/subnet-1"));
    }
}
