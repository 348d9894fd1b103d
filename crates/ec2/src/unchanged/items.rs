//! Where the items of a list begin and end in the XML of an answer, and a digest of one item. It is no XML parser: it knows the
//! plain form that EC2 writes, and finds nothing in an answer that could mean something else.

use memchr::memmem;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::num::NonZeroU64;
use std::ops::Range;

const OPEN: &[u8] = b"<item>";
const CLOSE: &[u8] = b"</item>";
/// The end of both of these tags.
const END: &[u8] = b"item>";

/// A digest of an item's content. Another content has the same digest with a probability of 2⁻⁶⁴, whoever wrote it: the keys are
/// random for each process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(NonZeroU64);

/// The keys of the digests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys(RandomState);

impl Keys {
    /// The digest of an item. The items inside it may stand in any order: EC2 promises none for tags, groups and addresses.
    /// None if the item does not have the plain form.
    pub fn digest(&self, item: &[u8]) -> Option<Digest> {
        let inside = item.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
        let (mut around, mut lists, mut list, mut from) = (self.0.build_hasher(), 0_u64, 0_usize, 0);
        for nested in outermost(inside)? {
            let before = &inside[from..nested.start];
            if !before.trim_ascii().is_empty() {
                before.hash(&mut around);
                list += 1;
            }
            lists = lists.wrapping_add(self.0.hash_one((list, &inside[nested.clone()])));
            from = nested.end;
        }
        inside[from..].hash(&mut around);
        lists.hash(&mut around);
        NonZeroU64::new(around.finish()).map(Digest)
    }
}

/// The ranges of the items of this list in an answer. None if the answer has no such list, or does not have the plain form.
pub(crate) fn of_list(answer: &[u8], list: &str) -> Option<Vec<Range<usize>>> {
    let open = format!("<{list}>");
    let start = memmem::find(answer, open.as_bytes())? + open.len();
    let end = memmem::rfind(answer, format!("</{list}>").as_bytes())?;
    let inside = answer.get(start..end)?;
    // A comment, a section of character data or an instruction may contain what looks like a tag.
    if memmem::find(answer, b"<!").is_some() || memmem::find(inside, b"<?").is_some() {
        return None;
    }
    let items = outermost(inside)?;
    let ends = std::iter::once(0).chain(items.iter().map(|item| item.end));
    let starts = items.iter().map(|item| item.start).chain([inside.len()]);
    let only_items = ends.zip(starts).all(|(from, to)| inside[from..to].trim_ascii().is_empty());
    only_items.then(|| items.into_iter().map(|item| start + item.start..start + item.end).collect())
}

/// The text of the item's first element, if this is its name.
pub(crate) fn first<'a>(item: &'a [u8], name: &str) -> Option<&'a str> {
    let inside = item.strip_prefix(OPEN)?.trim_ascii_start();
    let text = inside.strip_prefix(b"<")?.strip_prefix(name.as_bytes())?.strip_prefix(b">")?;
    std::str::from_utf8(&text[..memchr::memchr(b'<', text)?]).ok()
}

/// The ranges of the items that are in no other item. None if a tag lacks its counterpart. In XML, a `<` that is no tag's is escaped.
fn outermost(text: &[u8]) -> Option<Vec<Range<usize>>> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for at in memmem::find_iter(text, END) {
        let (before, end) = (&text[..at], at + END.len());
        if before.ends_with(b"</") {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                found.push(start..end);
            }
        } else if before.ends_with(b"<") {
            if depth == 0 {
                start = at - 1;
            }
            depth += 1;
        }
    }
    (depth == 0).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(answer: &str) -> Option<Vec<&str>> {
        let items = of_list(answer.as_bytes(), "enis")?;
        Some(items.into_iter().map(|item| &answer[item]).collect())
    }

    #[test]
    fn items_of_a_list_are_found() {
        let one = "<item><id>1</id><tags><item><key>k</key></item><item/></tags></item>";
        let two = "<item><id>2</id><description>an item&gt; item&gt;, item> and </description></item>";
        let answer = format!("<?xml version=\"1.0\"?>\n<a><enis>\n  {one}\n{two}</enis><nextToken>x</nextToken></a>");
        assert_eq!(found(&answer), Some(vec![one, two]));
        assert_eq!(found("<a><enis></enis></a>"), Some(vec![]));
    }

    #[test]
    fn an_answer_in_another_form_has_no_items() {
        for answer in [
            "",
            "<a><enis/></a>",
            "<a><enis><item></enis></a>",
            "<a><enis></item><item></enis></a>",
            "<a><enis><item/></enis></a>",
            "<a><enis><item a=\"b\"></item></enis></a>",
            "<a><enis><item><x/></item><other/></enis></a>",
            "<a><enis><item><![CDATA[</item>]]></item></enis></a>",
            "<a><enis><item><!-- </item> --></item></enis></a>",
            "<a><enis><item><?x </item> ?></item></enis></a>",
            "<a></enis><item></item><enis></a>",
        ] {
            assert_eq!(found(answer), None, "{answer}");
        }
    }

    #[test]
    fn the_first_element_is_read_if_it_has_the_name() {
        assert_eq!(first(b"<item>\n <id>eni-1</id><b/></item>", "id"), Some("eni-1"));
        for item in
            ["<item><b/><id>1</id></item>", "<item><id/></item>", "<item><identity>1</identity></item>", "<id>1</id>"]
        {
            assert_eq!(first(item.as_bytes(), "id").filter(|id| !id.is_empty()), None, "{item}");
        }
    }

    #[test]
    fn a_digest_is_of_the_content_without_the_order_of_lists() {
        let keys = Keys::default();
        let of = |inside: &str| keys.digest(format!("<item>{inside}</item>").as_bytes()).unwrap();
        let tags = |inside: &str| of(&format!("<id>1</id><tags>{inside}</tags><ips><item>x</item></ips><end/>"));
        let (a, b) = ("<item><key>a</key></item>", "<item><key>b</key></item>");
        assert_eq!(tags(&format!("{a}{b}")), tags(&format!("{b}{a}")));
        assert_eq!(tags(&format!("{a}\n{b}")), tags(&format!("{b}{a}")));
        let others = [
            tags(a),
            tags(&format!("{a}{a}")),
            tags(&format!("{a}{b}{b}")),
            tags(&format!("{a}<item><key>c</key></item>")),
            of(&format!("<id>2</id><tags>{a}{b}</tags><ips><item>x</item></ips><end/>")),
            of(&format!("<id>1</id><tags>{a}{b}<item>x</item></tags><ips></ips><end/>")),
            of(&format!("<id>1</id><tags>{a}{b}</tags><ips><item>x</item></ips><end></end>")),
            of(&format!("<id>1</id><tags>{a}</tags>{b}<ips><item>x</item></ips><end/>")),
        ];
        for (n, other) in others.iter().enumerate() {
            assert_ne!(*other, tags(&format!("{a}{b}")), "{n}");
        }
        assert_ne!(Keys::default().digest(b"<item>a</item>"), Keys::default().digest(b"<item>a</item>"), "random keys");
        assert_eq!(keys.digest(b"<item><item></item>"), None);
        assert_eq!(keys.digest(b"item"), None);
    }
}
