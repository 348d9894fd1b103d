//! The replicas: the real controller over the real clients, in processes that can be killed, frozen and cut off.

mod ec2_interceptor;
mod kube_interceptor;
mod life;

pub use kube_interceptor::Passage;
pub use life::{Life, Machine, name};

use crate::environment::POD_ANNOTATION;
use crate::interceptor::Interceptor;
use crate::script::{Graces, Operation, Setting};
use jiff::SignedDuration;
use kube::Client;
use multi_eni_controller::http_server::Gauges;
use multi_eni_controller::leader_election::lease::Times;
use multi_eni_controller::run::{Election, Parts, run};
use multi_eni_plan::settings::Settings;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tower::Layer;

/// Timeout of one EC2 call, as `multi-eni controller` sets it.
pub const EC2_TIMEOUT: Duration = Duration::from_secs(8);
/// The Lease's times: the product's, but for how often it is renewed.
pub fn lease_times(setting: &Setting) -> Times {
    Times { renew_every: Duration::from_millis(setting.renew_every), ..Times::default() }
}
/// How long a process takes to start.
const START: u64 = 1000;
/// Where the Lease is.
pub const NAMESPACE: &str = "kube-system";

/// All replicas.
#[derive(Clone)]
pub struct Replicas {
    lives: Arc<Mutex<Vec<Arc<Life>>>>,
}

impl Replicas {
    /// Starts them all.
    pub fn start(interceptor: &Arc<Interceptor>, setting: &Setting) -> Self {
        let machines = (0..setting.replicas).map(|n| {
            let skew = setting.clock_skew.get(n).copied().unwrap_or_default();
            Arc::new(Machine::new(interceptor.environment.clock, skew))
        });
        let lives = machines
            .enumerate()
            .map(|(n, machine)| Arc::new(Life::new(n, 1, machine, setting.same_identity)))
            .collect();
        let replicas = Self { lives: Arc::new(Mutex::new(lives)) };
        for n in 0..setting.replicas {
            tokio::spawn(replicas.clone().supervise(n, interceptor.clone(), setting.clone()));
        }
        replicas
    }

    /// The process of a replica that runs now, or ran last.
    pub fn life(&self, replica: usize) -> Option<Arc<Life>> {
        let lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        lives.get(replica.checked_rem(lives.len())?).cloned()
    }

    /// The running process of that name.
    pub fn by_name(&self, name: &str) -> Option<Arc<Life>> {
        let lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        lives.iter().find(|life| life.name() == name).cloned()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// As the kubelet does: a process that ended is started again.
    async fn supervise(self, n: usize, interceptor: Arc<Interceptor>, setting: Setting) {
        loop {
            let Some(life) = self.life(n) else { return };
            interceptor.checker.begins(&life);
            life.live(process(interceptor.clone(), life.clone(), setting.clone())).await;
            interceptor.checker.ends(&life);
            tokio::time::sleep(Duration::from_millis(life.restart())).await;
            let next = Arc::new(Life::new(n, life.number + 1, life.machine.clone(), setting.same_identity));
            if let Some(slot) = self.lives.lock().unwrap_or_else(PoisonError::into_inner).get_mut(n) {
                *slot = next;
            }
        }
    }

    /// Performs an act on a replica or its machine; others do nothing here.
    pub fn play(&self, act: &Operation) -> Option<String> {
        let life = |n: &usize| self.life(*n);
        match act {
            Operation::Kill { replica, restart } => {
                let life = life(replica)?;
                life.kill(*restart);
                Some(format!("{} is killed", life.name()))
            }
            Operation::Elsewhere { replica, lasts } => {
                let (life, n, replicas) = (life(replica)?, *replica, self.clone());
                life.machine.set_elsewhere(true);
                life.kill(START);
                let lasts = Duration::from_millis(*lasts);
                tokio::spawn(async move {
                    tokio::time::sleep(lasts).await;
                    replicas.bring_home(n);
                });
                Some(format!("{} is started anew, with another account's role", life.name()))
            }
            Operation::RoleSwap { replica, lasts } => {
                let (life, lasts) = (life(replica)?, Duration::from_millis(*lasts));
                life.machine.set_elsewhere(true);
                let machine = life.machine.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(lasts).await;
                    machine.set_elsewhere(false);
                });
                Some(format!("the role of {} is another account's", life.name()))
            }
            Operation::Stop { replica, restart } => {
                let life = life(replica)?;
                life.terminate(*restart);
                Some(format!("{} is told to stop", life.name()))
            }
            Operation::Pause { replica, lasts } => {
                let life = life(replica)?;
                life.freeze(true);
                let (frozen, lasts) = (life.clone(), Duration::from_millis(*lasts));
                tokio::spawn(async move {
                    tokio::time::sleep(lasts).await;
                    frozen.freeze(false);
                });
                Some(format!("{} is frozen", life.name()))
            }
            Operation::ClockStep { replica, by } => {
                let life = life(replica)?;
                life.machine.step_clock(*by);
                Some(format!("the clock of {} is set by {by} ms", life.name()))
            }
            Operation::Partition { replica, kube, lasts } => {
                let life = life(replica)?;
                life.machine.cut(*kube, *lasts);
                let side = if *kube { "the API server" } else { "EC2" };
                Some(format!("{} does not reach {side}", life.name()))
            }
            Operation::StaleWatch { replica, lasts } => {
                let life = life(replica)?;
                life.machine.hold_news(*lasts);
                Some(format!("{} sees nothing new", life.name()))
            }
            _ => None,
        }
    }

    /// A process with another account's role ends, and the next one has its own.
    fn bring_home(&self, n: usize) {
        if let Some(life) = self.life(n).filter(|life| life.machine.is_elsewhere()) {
            life.machine.set_elsewhere(false);
            life.kill(START);
        }
    }

    /// Every process runs, and every machine is well.
    pub fn mend(&self) {
        for n in 0..self.count() {
            self.bring_home(n);
            if let Some(life) = self.life(n) {
                life.freeze(false);
                life.machine.mend();
            }
        }
    }
}

/// What `multi-eni controller` does, over the gates.
async fn process(interceptor: Arc<Interceptor>, life: Arc<Life>, setting: Setting) {
    let elect = setting.replicas > 1;
    let (wall, steady) = (life.machine.wall(), life.machine.steady());
    let fence = Parts::fence(elect, steady);
    let service = kube_interceptor::KubeInterceptor::new(interceptor.clone(), life.clone());
    let http = ec2_interceptor::client(&interceptor, &life);
    let options = multi_eni_ec2::Options {
        call_timeout: EC2_TIMEOUT,
        page_size: setting.page_size,
        burst_share: f64::from(setting.buckets_percent) / 100.0,
        ..multi_eni_ec2::Options::default()
    };
    let parts = Parts {
        kube: Client::new(service.clone(), "default"),
        fenced: Client::new(Parts::fence_layer(&fence).layer(service), "default"),
        fence,
        aws: multi_eni_ec2::client_over(http, wall.clone(), "eu-west-1", "http://ec2.simulated", EC2_TIMEOUT),
        ec2_options: options,
        cluster_name: Some("histories".to_owned()),
        election: elect.then(|| Election { namespace: NAMESPACE.to_owned(), times: lease_times(&setting) }),
        identity: life.identity.clone(),
        settings: Settings {
            pod_annotation: setting.waits_for_pods.then(|| POD_ANNOTATION.to_owned()),
            ..settings(setting.graces)
        },
        wall,
        gauges: Arc::new(Gauges::default()),
    };
    run(parts, life.stop.notified()).await;
}

/// The controller's settings with a history's graces.
pub fn settings(graces: Graces) -> Settings {
    let seconds = SignedDuration::from_secs;
    Settings {
        label_grace: seconds(graces.label),
        node_gone_grace: seconds(graces.node_gone),
        force_detach: seconds(graces.force_detach),
        ..Settings::default()
    }
}
