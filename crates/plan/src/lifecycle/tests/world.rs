//! The world of the tests of `step`: one ENIAttachment, its ENI and the gates.

use super::*;

pub(crate) fn attachment(state: AttachmentState) -> ObservedAttachment {
    ObservedAttachment {
        id: "eni-attach-1".into(),
        instance: InstanceId::parse("i-0123456789abcdef0").ok(),
        card: 0,
        index: 1,
        state,
        since: at(0),
        delete_on_termination: true,
    }
}

pub(crate) fn eni(n: u32) -> ObservedEni {
    ObservedEni {
        id: EniId::parse(&format!("eni-{n:017x}")).unwrap(),
        subnet: Some(SubnetId::parse("subnet-0f59b4f14737be9ad").unwrap()),
        vpc: "vpc-1".into(),
        zone: "z1".into(),
        owner: "123456789012".into(),
        mac: "02:00:00:00:00:01".into(),
        private_ips: vec!["10.0.0.5".into()],
        ipv4_prefixes: Vec::new(),
        ipv6: ObservedIpv6::default(),
        operator: None,
        groups: vec![],
        description: String::new(),
        source_dest_check: true,
        connection_tracking: ConnectionTracking::default(),
        tags: tags(&cluster(), &new_attachment("n0", 1, false)).into_iter().collect(),
        attachment: None,
        in_use_since: None,
        shown_at: at(0),
        last_call: None,
    }
}

pub(super) fn cluster() -> Cluster {
    Cluster { uid: "cluster".into(), name: "cluster".into() }
}

pub(super) struct World {
    pub(super) cluster: Cluster,
    pub(super) attachment: Attachment,
    pub(super) observation: Observation,
    pub(super) spec: EniSpec,
    pub(super) call_history: CallHistory,
    pub(super) agreement: Agreement,
    pub(super) instance: Option<InstanceObservation>,
    pub(super) unlooked: bool,
    pub(super) states_failure: Option<LookupFailure>,
    pub(super) home_shown: Option<Timestamp>,
    pub(super) report_outdated_since: Option<Timestamp>,
    pub(super) resync_took: SignedDuration,
    pub(super) rivals: Vec<Attachment>,
    pub(super) node: Option<ObservedNode>,
    pub(super) boot_ids: Vec<&'static str>,
    pub(super) catalog: Ec2Catalog,
    pub(super) quota: QuotaGate,
    pub(super) instance_type: Option<(InstanceTypeGate, Subject<'static>)>,
    pub(super) permissions: crate::gates::permission::PermissionGate,
    pub(super) subnets: crate::gates::subnet::SubnetGate,
    pub(super) node_agent: bool,
    pub(super) now: Timestamp,
}

impl World {
    /// A process that leads since 10 s. The ENIAttachment is made at 20 s, so all calls for it are this process's.
    pub(super) fn new(observation: Observation) -> Self {
        let spec = NodeEniSpec {
            node_selector: [("a".to_owned(), "b".to_owned())].into(),
            subnet_id: Some("subnet-0f59b4f14737be9ad".into()),
            device_index: 1,
            delete_on_termination: true,
            ..Default::default()
        };
        let mut eni_attachment = new_attachment("n0", 1, false);
        eni_attachment.created = at(20);
        Self {
            cluster: cluster(),
            call_history: CallHistory::made(at(10)),
            agreement: Agreement::default(),
            attachment: eni_attachment,
            observation,
            spec: NodeEni::read(&NodeENI::new("a", spec)).spec.unwrap(),
            instance: None,
            unlooked: false,
            states_failure: None,
            home_shown: None,
            report_outdated_since: None,
            resync_took: SignedDuration::ZERO,
            rivals: Vec::new(),
            node: crate::assign::tests::World::new(Vec::new()).node,
            boot_ids: Vec::new(),
            catalog: Ec2Catalog::default(),
            quota: QuotaGate::default(),
            instance_type: None,
            permissions: Default::default(),
            subnets: Default::default(),
            node_agent: false,
            now: at(30),
        }
    }

    pub(super) fn step(&self) -> Step {
        step(Input {
            cluster: &self.cluster,
            attachment: &self.attachment,
            observation: &self.observation,
            spec: Some(&self.spec),
            rivals: &self.rivals.iter().collect::<Vec<_>>(),
            node: self.node.as_ref(),
            boot_ids: &self.boot_ids,
            // A test that sets no instance has one that was just observed running.
            instance: if self.unlooked {
                None
            } else {
                self.instance.or(Some(InstanceObservation::first(InstanceState::Running, self.now)))
            },
            states_failure: self.states_failure.as_ref(),
            home_shown: self.home_shown,
            report_outdated_since: self.report_outdated_since,
            resync_took: self.resync_took,
            catalog: &self.catalog,
            agreement: self.agreement,
            call_history: &self.call_history,
            quota: &self.quota,
            instance_type: self.instance_type.as_ref().map(|(gate, subject)| (gate, *subject)),
            permissions: &self.permissions,
            subnets: &self.subnets,
            settings: &Settings { node_agent: self.node_agent, ..Settings::default() },
            now: self.now,
        })
    }

    pub(super) fn set_shown_at(&mut self, seconds: i64) {
        let Observation::Seen(eni) = &mut self.observation else { panic!("nothing is seen") };
        eni.shown_at = at(seconds);
    }

    pub(super) fn set_last_call(&mut self, seconds: i64) {
        let Observation::Seen(eni) = &mut self.observation else { panic!("nothing is seen") };
        eni.last_call = Some(at(seconds));
    }

    /// EC2 accepts a plain Detach of the first attachment.
    pub(super) fn accept_detach(&mut self, seconds: i64) {
        self.call_history.sends_detach("eni-attach-1", false, true);
        self.call_history.succeeded(Call::Detach, at(seconds));
    }

    pub(super) fn fail(&mut self, call: Call, code: &str, message: &str) {
        let error = CallError::Answered { code: code.into(), message: message.into() };
        self.call_history.failed(call, &error, self.now);
    }
}

pub(super) fn absent(by_tag: i64) -> Observation {
    Observation::Absent { by_tag: at(by_tag), home: None, by_id: None, deleted: None }
}

/// Two lookups by ID, a minute apart, did not show the ENI. `home`: when EC2 had last shown this cluster before the
/// second one.
pub(super) fn missed_twice(by_tag: Timestamp, last: Timestamp, home: Option<Timestamp>) -> Observation {
    let since = last.saturating_sub(crate::instance_life::APART).unwrap();
    Observation::Absent { by_tag, home: None, by_id: Some(Missed::once(since).and(last).after(home)), deleted: None }
}

pub(super) fn seen(state: Option<AttachmentState>) -> Observation {
    let mut eni = eni(1);
    eni.attachment = state.map(attachment);
    Observation::Seen(Box::new(eni))
}
