//! The name of a namespace, as Kubernetes allows it.

/// The most characters of a name.
const LONGEST: usize = 63;

/// Checks the name of a namespace.
///
/// # Errors
/// A sentence, if no namespace can have this name.
pub fn namespace(name: &str) -> Result<String, String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let has_form = name.chars().all(is_inner) && !name.is_empty() && !name.starts_with('-') && !name.ends_with('-');
    if has_form && name.len() <= LONGEST {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "no namespace can have this name: it has at most {LONGEST} lower-case letters, digits and '-', and begins and ends with a \
             letter or a digit"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kubernetes() {
        for good in ["default", "kube-system", "a", "0", "a-1", &"a".repeat(63)] {
            assert_eq!(namespace(good).as_deref(), Ok(good));
        }
        for bad in ["", "Bad_NS", "a.b", "-a", "a-", "A", "ü", "a b", &"a".repeat(64)] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
    }
}
