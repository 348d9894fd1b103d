//! How pages of ENIs are asked for: apart from other calls, and again.

use super::*;

#[test]
fn pages_are_requested_and_parsed_apart_and_one_at_a_time() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (pages, caller) = (runtime(), runtime());
    let page = enis(&format!("<item>{PLAIN}</item>"));
    let apart = Canned::new(vec![page.clone(), page.clone(), page]);
    let pages_apart = Some(PagesApart { runtime: pages.handle().clone(), client: apart.client() });
    let (ec2, others) = ec2_with(Options { pages_apart, ..Options::default() }, Vec::new());
    let page = || ec2.eni_page(convert::filter("vpc-id", ["vpc-1"]), Weight::Heavy, 1000, None);
    let answers = caller.block_on(async { tokio::join!(page(), page(), page()) });
    for page in [answers.0, answers.1, answers.2] {
        assert_eq!(page.unwrap().enis.len(), 1);
    }
    let parser = pages.block_on(async { tokio::spawn(async { std::thread::current().id() }).await }).unwrap();
    assert_eq!(*apart.threads.lock().unwrap(), [parser; 3]);
    assert_eq!(apart.most_at_once.load(Ordering::Acquire), 1);
    assert_eq!(*others.asked.lock().unwrap(), [""; 0]);
    // A lookup of few instances waits for no page: its call has the other client, which has no answer here.
    assert_eq!(Weight::of_instances(10), Weight::Light);
    assert_eq!(Weight::of_instances(11), Weight::Heavy);
    let turn = ec2.inner.page_turn.try_acquire().unwrap();
    others.answers.lock().unwrap().push(enis(&format!("<item>{PLAIN}</item>")));
    let light = ec2.eni_page(convert::filter("vpc-id", ["vpc-1"]), Weight::Light, 1000, None);
    assert_eq!(caller.block_on(light).unwrap().enis.len(), 1);
    drop(turn);
}

/// A page that is asked for again: what it repeats is not parsed, and what is read is the same.
#[tokio::test]
async fn a_repeated_page_is_read_as_if_it_were_parsed() {
    let item = |n: u32, groups: &[&str], status: &str| {
        let groups: String = groups.iter().map(|id| format!("<item><groupId>{id}</groupId></item>")).collect();
        format!(
            "<item>{}<groupSet>{groups}</groupSet><attachment><attachmentId>eni-attach-{n}</attachmentId><instanceId>i-0cc0cc0cc0cc0cc01\
             </instanceId><deviceIndex>{n}</deviceIndex><status>{status}</status></attachment><tagSet><item><key>a</key><value>{n}</value>\
             </item></tagSet></item>",
            PLAIN.replace("aa01</networkInterfaceId>", &format!("aa0{n}</networkInterfaceId>"))
        )
    };
    let first =
        [item(1, &["sg-1", "sg-2"], "attached"), item(2, &["sg-1"], "attached"), item(3, &[], "attaching")].concat();
    let then =
        [item(3, &[], "attached"), item(1, &["sg-2", "sg-1"], "attached"), item(2, &["sg-3"], "attached")].concat();
    let (ec2, _) = ec2(vec![enis(&first), enis(&then), enis(&then)]);
    let page = || ec2.repeated_page(convert::filter("vpc-id", ["vpc-1"]), 1000, None);
    for (parsed_before, items) in [(0, &first), (1, &then), (3, &then)] {
        let reread = page().await.unwrap();
        let (mut read, mut parsed) = (reread.enis.clone(), self::page(items).await.enis);
        read.sort_by(|a, b| a.id.cmp(&b.id));
        parsed.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!((read, reread.unchanged), (parsed, parsed_before));
        ec2.change(|cache| {
            let uids = cache.apply_shown(reread.enis);
            cache.note_listed(reread.started, reread.digests);
            ((), uids)
        });
    }
}
