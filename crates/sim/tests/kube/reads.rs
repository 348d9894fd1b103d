//! Tests of lists and watches.

use super::*;

#[tokio::test(start_paused = true)]
async fn selectors_and_paging() {
    let server = server();
    let api = enis(&client(&server));
    for i in 0..5 {
        let mut body = eni(&format!("e{i}"));
        body["metadata"]["labels"] = json!({ "i": i.to_string() });
        body["spec"]["nodeName"] = json!(format!("n{}", i % 2));
        create(&api, body).await.unwrap();
    }
    let names = |list: kube::core::ObjectList<DynamicObject>| -> Vec<String> {
        list.items.iter().map(ResourceExt::name_any).collect()
    };
    let by = |params: ListParams| {
        let api = api.clone();
        async move { api.list(&params).await }
    };
    assert_eq!(names(by(ListParams::default().labels("i in (1,3)")).await.unwrap()), ["e1", "e3"]);
    assert_eq!(names(by(ListParams::default().labels("i!=1,i notin (0)")).await.unwrap()), ["e2", "e3", "e4"]);
    assert_eq!(names(by(ListParams::default().fields("spec.nodeName=n1")).await.unwrap()), ["e1", "e3"]);
    assert_eq!(names(by(ListParams::default().fields("metadata.name=e2")).await.unwrap()), ["e2"]);
    refused(by(ListParams::default().fields("spec.other=1")).await, 400, "BadRequest");

    let page = by(ListParams::default().limit(2)).await.unwrap();
    assert_eq!(page.metadata.remaining_item_count, Some(3));
    let token = page.metadata.continue_.clone().unwrap();
    assert_eq!(names(page), ["e0", "e1"]);
    api.delete("e2", &DeleteParams::default()).await.unwrap();
    create(&api, eni("e9")).await.unwrap();
    let page = by(ListParams::default().limit(9).continue_token(&token)).await.unwrap();
    assert_eq!(page.metadata.continue_.as_deref(), Some(""), "as for every custom resource");
    assert_eq!(names(page), ["e2", "e3", "e4"], "pages are of one version");
    server.compact();
    refused(by(ListParams::default().limit(2).continue_token(&token)).await, 410, "Expired");
    assert_eq!(names(by(ListParams::default().at("0").matching(VersionMatch::NotOlderThan)).await.unwrap()).len(), 5);
    refused(by(ListParams::default().at("1000000")).await, 504, "Timeout");
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("i")).await.unwrap();
    assert_eq!(names(by(ListParams::default()).await.unwrap()), ["e9"]);
}

fn shown(event: &WatchEvent<DynamicObject>) -> String {
    match event {
        WatchEvent::Added(o) => format!("+{}", o.name_any()),
        WatchEvent::Modified(o) => format!("~{}", o.name_any()),
        WatchEvent::Deleted(o) => format!("-{}", o.name_any()),
        WatchEvent::Bookmark(_) => "bookmark".into(),
        WatchEvent::Error(e) => format!("error {}", e.code),
    }
}

#[tokio::test(start_paused = true)]
async fn watch_selects_bookmarks_and_ends() {
    let server = server();
    let api = enis(&client(&server));
    let start = create(&api, eni("before")).await.unwrap().resource_version().unwrap();
    let params = WatchParams::default().labels("on=1").timeout(100);
    let events = api.watch(&params, &start).await.unwrap().map_ok(|e| shown(&e));
    create(&api, eni("a")).await.unwrap();
    let label = |v: Value| json!({ "metadata": { "labels": { "on": v } } });
    merge(&api, "a", label(json!("1"))).await.unwrap();
    merge(&api, "a", json!({ "spec": { "deviceIndex": 2 } })).await.unwrap();
    merge(&api, "a", json!({ "spec": { "deviceIndex": 2 } })).await.unwrap();
    merge(&api, "a", label(Value::Null)).await.unwrap();
    merge(&api, "a", label(json!("1"))).await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let began = tokio::time::Instant::now();
    let all: Vec<String> = events.try_collect().await.unwrap();
    assert_eq!(all, ["+a", "~a", "-a", "+a", "-a", "bookmark", "bookmark"]);
    assert_eq!(began.elapsed().as_secs(), 100, "the server ends the watch");
}

#[tokio::test(start_paused = true)]
async fn watch_of_a_compacted_version_expires() {
    let server = server();
    let api = enis(&client(&server));
    let old = create(&api, eni("a")).await.unwrap().resource_version().unwrap();
    let new = create(&api, eni("b")).await.unwrap().resource_version().unwrap();
    server.compact();
    let first = |version: String| {
        let api = api.clone();
        async move {
            let stream = api.watch(&WatchParams::default().timeout(2), &version).await.unwrap();
            let events: Vec<_> = stream.map_ok(|e| shown(&e)).try_collect().await.unwrap();
            events
        }
    };
    assert_eq!(first(old).await, ["error 410"]);
    assert_eq!(first(new).await, Vec::<String>::new());
    assert_eq!(first("0".into()).await, ["+a", "+b"]);
    server.retain_history(1);
    for i in 1..4 {
        merge(&api, "a", json!({ "spec": { "deviceIndex": i + 1 } })).await.unwrap();
    }
    let version = server.resource_version();
    assert_eq!(first((version - 1).to_string()).await, ["~a"]);
    assert_eq!(first((version - 2).to_string()).await, ["error 410"]);
}

#[tokio::test(start_paused = true)]
async fn kubes_watcher_follows_through_breaks_and_compaction() {
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let server = server();
        let api = enis(&client(&server));
        create(&api, eni("a")).await.unwrap();
        let mut events = Box::pin(watcher::watcher(api.clone(), config));
        let mut received = Vec::new();
        let mut next = async || loop {
            match tokio::time::timeout(Duration::from_secs(1000), events.next()).await.expect("an event").unwrap() {
                Ok(watcher::Event::Apply(o)) => return format!("~{}", o.name_any()),
                Ok(watcher::Event::InitApply(o)) => return format!("i{}", o.name_any()),
                Ok(watcher::Event::Delete(o)) => return format!("-{}", o.name_any()),
                Ok(watcher::Event::InitDone) => return "done".into(),
                Ok(watcher::Event::Init) | Err(_) => {}
            }
        };
        received.push(next().await);
        received.push(next().await);
        create(&api, eni("b")).await.unwrap();
        received.push(next().await);
        server.break_watches();
        tokio::time::sleep(Duration::from_secs(200)).await;
        api.delete("a", &DeleteParams::default()).await.unwrap();
        received.push(next().await);
        server.break_watches();
        create(&api, eni("c")).await.unwrap();
        server.compact();
        received.push(next().await);
        received.push(next().await);
        received.push(next().await);
        assert_eq!(received, ["ia", "done", "~b", "-a", "ib", "ic", "done"]);
    }
}
