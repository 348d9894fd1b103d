//! Who sees everything that happens, checks it at once, and can tell it.
//!
//! - [`scene`]: what it knows, and what it does with each thing that happens.
//! - [`mirror`]: the truth, followed change by change.
//! - [`justice`]: whether a replica's deed was its to do; [`honesty`]: whether its status was true. [`lease`], [`budget`]:
//!   whether it might send at all; [`backoff`], by [`targets`]: whether it might send it again.
//! - [`rollout`]: how many nodes a rollout takes away at a time. [`said`]: what is refused for long is said.
//! - [`enforced`]: which of the newer promises count.
//! - [`breach`]: the promises. [`trace`], [`told`]: the words.

mod backoff;
pub mod breach;
mod budget;
pub mod enforced;
mod honesty;
mod justice;
mod lease;
pub mod mirror;
mod pace;
mod rollout;
mod said;
pub mod scene;
mod takeover;
mod targets;
#[cfg(test)]
mod tests;
mod told;
pub mod trace;

pub use backoff::Request;
pub use breach::{Breach, Promise};
pub use enforced::Enforced;
pub use scene::{Activity, Scene};
pub use trace::Detail;

use crate::replica::Life;
use crate::script::{Befallen, Millis, Script};
use crate::stage::Stage;
use multi_eni_sim::ec2::{Incoming, InstanceState};
use multi_eni_sim::kube::RequestInfo;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The witness. Clones are the same.
#[derive(Clone)]
pub struct Witness {
    scene: Arc<Mutex<Scene>>,
    stage: Stage,
}

impl Witness {
    /// Watches that stage from now on.
    pub fn watch(stage: &Stage, script: &Script, detail: Detail) -> Self {
        let scene = Arc::new(Mutex::new(Scene::new(&stage.cluster, script, detail)));
        let witness = Self { scene, stage: stage.clone() };
        let seen = witness.scene.clone();
        let epoch = stage.clock.now().as_millisecond();
        stage.ec2.observe(Box::new(move |at, happening| {
            let at = Millis::try_from(at.as_millisecond() - epoch).unwrap_or(0);
            lock(&seen).ec2(at, happening);
        }));
        let (seen, clock) = (witness.scene.clone(), stage.timer());
        stage.api.observe(Box::new(move |change| lock(&seen).object(clock(), change)));
        witness
    }

    /// What it knows.
    pub fn scene(&self) -> MutexGuard<'_, Scene> {
        lock(&self.scene)
    }

    /// Something is said by somebody.
    pub fn says(&self, detail: Detail, who: &str, what: impl FnOnce() -> String) {
        let at = self.stage.now();
        self.scene().trace.line(detail, at, who, what);
    }

    /// Time has passed, or somebody has done something: whatever no request shows is looked at.
    pub fn looks(&self) {
        let at = self.stage.now();
        if !self.scene().is_time_to_look(at) {
            return;
        }
        let instances = self.stage.ec2.snapshot().instances;
        let gone = |state: InstanceState| matches!(state, InstanceState::ShuttingDown | InstanceState::Terminated);
        let dead = instances.iter().filter(|(_, instance)| gone(instance.state)).map(|(id, _)| id.clone());
        self.scene().looks(at, dead.collect());
    }

    /// A process begins.
    pub fn begins(&self, life: &Life) {
        let at = self.stage.now();
        let mut scene = self.scene();
        scene.last_begun = at;
        if !scene.elects {
            scene.refusals.counted_anew(at);
        }
        drop(scene);
        self.says(Detail::Story, &life.name(), || "starts".to_owned());
    }

    /// A process has ended.
    pub fn ends(&self, life: &Life) {
        self.says(Detail::Story, &life.name(), || (if life.is_dead() { "is dead" } else { "has ended" }).to_string());
    }

    /// A request leaves for the API server.
    pub fn sends_kube(&self, life: &Life, info: &RequestInfo, befallen: Option<&Befallen>) {
        let (at, name, mut scene) = (self.stage.now(), life.name(), self.scene());
        if let Some(befallen) = befallen {
            scene.trace.line(Detail::Story, at, &name, || {
                format!("{} {} {}: {}", info.verb, info.target(), info.name, befallen.words())
            });
        }
        scene.sends_kube(at, life, info);
    }

    /// A process is about to write to the API server: what it asks for, and when. None if nobody counts.
    pub fn asks(&self, life: &Life, info: &RequestInfo, body: &[u8]) -> Option<(Millis, Request)> {
        let at = self.stage.now();
        self.scene().asks(at, life, info, body).map(|request| (at, request))
    }

    /// What it asked for has ended.
    pub fn ended(&self, life: &Life, asked: &(Millis, Request), status: Option<u16>) {
        self.scene().ended(life, asked, status);
    }

    /// A request was answered, and its process heard the answer.
    pub fn answered(&self, life: &Life, info: &RequestInfo, status: Option<u16>) {
        let at = self.stage.now();
        let mut scene = self.scene();
        if info.resource == "leases" && !matches!(info.verb.as_str(), "get" | "list" | "watch") {
            let taken = status.is_some_and(|status| (200..300).contains(&status));
            if scene.leases.answered(&life.name(), &life.identity, taken) {
                scene.quota_is_forgotten(&life.name());
                scene.refusals.counted_anew(at);
            }
        }
        scene.trace.line(Detail::Everything, at, &life.name(), || {
            let status = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            format!("hears {status} to {} {} {}", info.verb, info.target(), info.name)
        });
    }

    /// A call leaves for EC2.
    pub fn sends_ec2(&self, life: &Life, call: &Incoming, befallen: Option<&Befallen>) {
        let (at, name, mut scene) = (self.stage.now(), life.name(), self.scene());
        if let Some(befallen) = befallen {
            scene.trace.line(Detail::Story, at, &name, || format!("{}: {}", call.action, befallen.words()));
        }
        scene.sends_ec2(at, life, call);
    }
}

fn lock(scene: &Mutex<Scene>) -> MutexGuard<'_, Scene> {
    scene.lock().unwrap_or_else(PoisonError::into_inner)
}
