//! Tests of failures: throttling, lag, faults and lost answers.

use super::*;

#[tokio::test(start_paused = true)]
async fn buckets_empty_and_refill() {
    let ec2 = account(Settings { buckets: Some(Buckets::default()), eni_quota: None, ..steady() });
    let name = "DetachNetworkInterface";
    let pairs = [("AttachmentId", "eni-attach-0000000000000dead")];
    for _ in 0..50 {
        assert_eq!(code(&ec2, name, &pairs).await, "InvalidAttachmentID.NotFound");
    }
    let (status, body) = raw(&ec2, name, &pairs).await.unwrap();
    assert_eq!((status, text(&body, "Code").as_str()), (503, "RequestLimitExceeded"));
    pass(1).await;
    for _ in 0..5 {
        assert_eq!(code(&ec2, name, &pairs).await, "InvalidAttachmentID.NotFound");
    }
    assert_eq!(code(&ec2, name, &pairs).await, "RequestLimitExceeded");
    assert!(ec2.spend("CreateNetworkInterface", 100) && !ec2.spend("CreateNetworkInterface", 1));
    for _ in 0..50 {
        ok(&ec2, "DescribeNetworkInterfaces", &[]).await;
    }
    assert_eq!(code(&ec2, "DescribeNetworkInterfaces", &[]).await, "RequestLimitExceeded");
    ok(&ec2, "DescribeNetworkInterfaces", &[("MaxResults", "5")]).await;
    let all = ec2.all_counts();
    assert_eq!((all["DetachNetworkInterface"], all["DescribeNetworkInterfaces"]), (57, 52));
    ec2.clear_calls();
    assert_eq!((ec2.all_counts(), ec2.counts().len()), (all, 0), "the counts of actions stay");
}

#[tokio::test(start_paused = true)]
async fn reads_and_early_calls_lag() {
    let ec2 = account(Settings { lag: Duration::from_secs(60), seed: 7, ..Settings::instant() });
    pass(61).await;
    let eni = create(&ec2).await;
    let shown = async || all(&ok(&ec2, "DescribeNetworkInterfaces", &[]).await, "networkInterfaceId").contains(&eni);
    assert!(!shown().await, "not visible at once");
    assert_eq!(
        code(&ec2, "AttachNetworkInterface", &slot(&eni, NODE, "1")).await,
        "InvalidNetworkInterfaceID.NotFound"
    );
    pass(60).await;
    assert!(shown().await);
    ec2.hand_delete(&eni).unwrap();
    assert!(shown().await, "still visible");
    pass(60).await;
    assert!(!shown().await);
}

#[tokio::test(start_paused = true)]
async fn faults_apply_to_calls() {
    let ec2 = account(steady());
    let create = [("SubnetId", SUBNET), ("ClientToken", "t")];
    let name = "CreateNetworkInterface";
    let enis = || ec2.snapshot().enis.len();

    ec2.inject(FaultRule::on(name, Fault::Fail { code: "InternalError".into(), status: None }).once());
    let (status, _) = raw(&ec2, name, &create).await.unwrap();
    assert_eq!((status, enis()), (500, 2));
    ec2.inject(FaultRule::on(name, Fault::Unreachable).once());
    assert_eq!(raw(&ec2, name, &create).await, Err(LostAnswer::Unreachable));
    assert_eq!(enis(), 2);
    ec2.inject(FaultRule::on(name, Fault::LoseAnswer(Loss::Broken)).once());
    assert_eq!(raw(&ec2, name, &create).await, Err(LostAnswer::Broken));
    assert_eq!(enis(), 3, "the effect stays");
    let eni = text(&ok(&ec2, name, &create).await, "networkInterfaceId");
    assert_eq!(enis(), 3, "and the token finds it");

    ec2.inject(FaultRule::on("AttachNetworkInterface", Fault::StuckAttaching(Stuck::UntilForced)).once());
    let attachment = attach(&ec2, &eni, NODE, "1").await;
    pass(600).await;
    self::status(&ec2, &eni).filter(|s| *s == AttachmentStatus::Attaching).expect("stuck");
    ok(&ec2, "DetachNetworkInterface", &[("AttachmentId", &attachment)]).await;
    pass(600).await;
    self::status(&ec2, &eni).filter(|s| *s == AttachmentStatus::Detaching).expect("still stuck");
    ok(&ec2, "DetachNetworkInterface", &[("AttachmentId", &attachment), ("Force", "true")]).await;
    pass(2).await;
    assert_eq!(self::status(&ec2, &eni), None);

    ec2.hand_change(&eni, |eni| drop(eni.tags.insert("a".into(), "b".into()))).unwrap();
    ec2.inject(FaultRule::on("DeleteNetworkInterface", Fault::LeakOnDelete).with("NetworkInterfaceId", &eni));
    ok(&ec2, "DeleteNetworkInterface", &[("NetworkInterfaceId", &eni)]).await;
    assert!(ec2.snapshot().enis[&eni].tags.is_empty());

    ec2.set_fault_source(|call| (call.action == "DescribeSubnets").then_some(Fault::Throttle));
    assert_eq!(code(&ec2, "DescribeSubnets", &[]).await, "RequestLimitExceeded");
    ec2.clear_faults();
    ok(&ec2, "DescribeSubnets", &[]).await;

    let before = ec2.calls().len() as u64;
    assert_eq!(ec2.counts().values().flat_map(BTreeMap::values).sum::<u64>(), before);
    assert_eq!(ec2.counts()[name][&Outcome::NeverArrived], 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_effect_after_its_caller_timed_out() {
    let ec2 = account(steady());
    ec2.inject(FaultRule::on("CreateNetworkInterface", Fault::Delay(Duration::from_secs(20))));
    let pairs = [("SubnetId", SUBNET)];
    let timed_out = tokio::time::timeout(Duration::from_secs(5), raw(&ec2, "CreateNetworkInterface", &pairs)).await;
    assert!(timed_out.is_err());
    assert_eq!(ec2.snapshot().enis.len(), 2);
    let created =
        tokio::time::timeout(Duration::from_secs(16), ec2.wait_until(|account| account.enis.len() == 3)).await;
    assert!(created.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_sdk_connector_answers_times_out_and_breaks() {
    let ec2 = account(steady());
    let settings = HttpConnectorSettings::builder().read_timeout(Duration::from_secs(3)).build();
    let connector = ec2.connector(settings);
    let call = async || {
        let (parts, body) = form_request("DescribeSubnets", &BTreeMap::new()).into_parts();
        let mut request = http::Request::from_parts(parts, SdkBody::from(body));
        *request.uri_mut() = "https://ec2.eu-west-1.amazonaws.com/".parse().unwrap();
        connector.call(HttpRequest::try_from(request).unwrap()).await
    };
    let answer = call().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let body = aws_smithy_types::byte_stream::ByteStream::new(answer.into_body()).collect().await.unwrap();
    assert!(body.into_bytes().starts_with(b"<?xml"));
    ec2.inject(FaultRule::on_every_call(Fault::SlowAnswer(Duration::from_secs(4))).once());
    assert!(call().await.unwrap_err().is_timeout());
    ec2.inject(FaultRule::on_every_call(Fault::Unreachable).once());
    assert!(call().await.unwrap_err().is_io());
}

#[tokio::test]
async fn a_lost_answer_closes_the_tcp_connection() {
    let ec2 = account(Settings::instant());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = ec2.clone();
    tokio::spawn(async move { server.serve(listener, std::future::pending()).await });
    ec2.inject(FaultRule::on("CreateNetworkInterface", Fault::LoseAnswer(Loss::Broken)));
    let form = format!("Action=CreateNetworkInterface&Version=2016-11-15&SubnetId={SUBNET}");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nContent-Length: {}\r\n\r\n", form.len());
    stream.write_all(format!("{head}{form}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(ec2.snapshot().enis.len(), 3, "the effect stays");
}
