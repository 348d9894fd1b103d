//! Which ENIs a page of a resync showed as the cache holds them.

use super::*;
use crate::cache::listed::shown_again;
use crate::unchanged::items::{Digest, Keys};

fn digest(content: &str) -> Digest {
    static KEYS: std::sync::LazyLock<Keys> = std::sync::LazyLock::new(Keys::default);
    KEYS.digest(format!("<item>{content}</item>").as_bytes()).unwrap()
}

/// A page that began at `second` showed this ENI by an item with this content.
fn page(cache: &mut CacheState, second: i64, shown: ObservedEni, content: &str) {
    let listed = vec![(shown.id.clone(), digest(content))];
    cache.apply_shown(vec![shown]);
    cache.note_listed(at(second), listed);
}

#[test]
fn the_same_item_is_read_from_the_cache_as_it_would_be_parsed() {
    let mut cache = cache();
    page(&mut cache, 10, on(1, Attached, 10), "a");
    page(&mut cache, 70, on(1, Attached, 70), "a");
    assert_eq!(seen(&mut cache).attachment.unwrap().since, at(10), "since the first observation");
    let again = shown_again(cache.as_listed(&id(1), digest("a")).unwrap(), at(130));
    assert_eq!(again, on(1, Attached, 130));
    assert_eq!(cache.as_listed(&id(1), digest("b")), None);
    assert_eq!(cache.as_listed(&id(2), digest("a")), None);
}

/// What changes an ENI, in words and in the cache.
type Other = (&'static str, fn(&mut CacheState));

#[test]
fn an_eni_that_something_else_changed_is_parsed() {
    let changes: [Other; 6] = [
        ("another Describe", |cache| drop(cache.apply_shown(vec![on(1, Detaching, 20)]))),
        ("another Describe that shows the same", |cache| drop(cache.apply_shown(vec![on(1, Attached, 20)]))),
        ("a call of ours", |cache| assert!(cache.apply_description(&id(1), "new", at(20)))),
        ("a page after a call of ours", |cache| {
            cache.apply_description(&id(1), "new", at(20));
            // Within the lag, the answer of the call overrides what the page shows.
            page(cache, 30, on(1, Attached, 30), "a");
        }),
        ("a page that is older than another Describe", |cache| {
            cache.apply_shown(vec![on(1, Detaching, 20)]);
            page(cache, 15, on(1, Attached, 15), "a");
        }),
        ("its end", |cache| drop(cache.finish_resync(at(20), &BTreeSet::new()))),
    ];
    for (what, change) in changes {
        let mut cache = cache();
        page(&mut cache, 10, on(1, Attached, 10), "a");
        assert!(cache.as_listed(&id(1), digest("a")).is_some());
        change(&mut cache);
        assert_eq!(cache.as_listed(&id(1), digest("a")), None, "{what}");
    }
    // After the lag, a page shows it as it is.
    let mut cache = cache();
    page(&mut cache, 10, on(1, Attached, 10), "a");
    cache.apply_description(&id(1), "new", at(20));
    let renamed = |second| ObservedEni { description: "new".into(), ..on(1, Attached, second) };
    page(&mut cache, 90, renamed(90), "b");
    assert_eq!(shown_again(cache.as_listed(&id(1), digest("b")).unwrap(), at(150)), renamed(150));
}

#[test]
fn an_eni_in_motion_is_parsed() {
    for shown in [on(1, Attaching, 10), on(1, Detaching, 10), ObservedEni { in_use_since: Some(at(10)), ..eni(1, 10) }]
    {
        let mut cache = cache();
        page(&mut cache, 10, shown.clone(), "a");
        assert_eq!(cache.as_listed(&id(1), digest("a")), None, "{shown:?}");
    }
    let mut cache = cache();
    page(&mut cache, 10, eni(1, 10), "a");
    assert_eq!(cache.as_listed(&id(1), digest("a")), Some(eni(1, 10)), "available");
}
