//! Starts the replicas' processes, restarts those that end, and performs a script's operations on processes and machines.

use super::controller::run_controller;
use super::machine::Machine;
use super::process::Process;
use super::replicas::Replicas;
use crate::interceptor::Interceptor;
use crate::script::{Operation, Setting};
use std::sync::Arc;
use std::time::Duration;

/// How long a process takes to start.
const START: u64 = 1000;

impl Replicas {
    /// Starts all replicas.
    pub fn start(interceptor: &Arc<Interceptor>, setting: &Setting) -> Self {
        let machines = (0..setting.replicas).map(|n| {
            let skew = setting.clock_skew.get(n).copied().unwrap_or_default();
            Arc::new(Machine::new(interceptor.environment.clock, skew))
        });
        let processes = machines
            .enumerate()
            .map(|(n, machine)| Arc::new(Process::new(n, 1, machine, setting.same_identity)))
            .collect();
        let replicas = Self::new(processes);
        for n in 0..setting.replicas {
            tokio::spawn(replicas.clone().supervise(n, interceptor.clone(), setting.clone()));
        }
        replicas
    }

    /// Restarts a process when it has ended, as the kubelet does.
    async fn supervise(self, n: usize, interceptor: Arc<Interceptor>, setting: Setting) {
        loop {
            let Some(process) = self.process(n) else { return };
            interceptor.checker.begins(&process);
            process.run(run_controller(interceptor.clone(), process.clone(), setting.clone())).await;
            interceptor.checker.ends(&process);
            tokio::time::sleep(Duration::from_millis(process.restart())).await;
            let next = Arc::new(Process::new(n, process.number + 1, process.machine.clone(), setting.same_identity));
            self.replace(n, next);
        }
    }

    /// Performs an operation on a replica or its machine. Returns None for other operations.
    pub fn play(&self, operation: &Operation) -> Option<String> {
        let process = |n: &usize| self.process(*n);
        match operation {
            Operation::Kill { replica, restart } => {
                let process = process(replica)?;
                process.kill(*restart);
                Some(format!("{} is killed", process.name()))
            }
            Operation::Elsewhere { replica, lasts } => {
                let (process, n, replicas) = (process(replica)?, *replica, self.clone());
                process.machine.set_elsewhere(true);
                process.kill(START);
                let lasts = Duration::from_millis(*lasts);
                tokio::spawn(async move {
                    tokio::time::sleep(lasts).await;
                    replicas.bring_home(n);
                });
                Some(format!("{} is restarted with the role of another account", process.name()))
            }
            Operation::RoleSwap { replica, lasts } => {
                let (process, lasts) = (process(replica)?, Duration::from_millis(*lasts));
                process.machine.set_elsewhere(true);
                let machine = process.machine.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(lasts).await;
                    machine.set_elsewhere(false);
                });
                Some(format!("{} gets the role of another account", process.name()))
            }
            Operation::Stop { replica, restart } => {
                let process = process(replica)?;
                process.terminate(*restart);
                Some(format!("{} is asked to stop", process.name()))
            }
            Operation::Pause { replica, lasts } => {
                let process = process(replica)?;
                process.freeze(true);
                let (frozen, lasts) = (process.clone(), Duration::from_millis(*lasts));
                tokio::spawn(async move {
                    tokio::time::sleep(lasts).await;
                    frozen.freeze(false);
                });
                Some(format!("{} is frozen", process.name()))
            }
            Operation::ClockStep { replica, by } => {
                let process = process(replica)?;
                process.machine.step_clock(*by);
                Some(format!("the clock of {} is moved by {by} ms", process.name()))
            }
            Operation::Partition { replica, kube, lasts } => {
                let process = process(replica)?;
                process.machine.cut(*kube, *lasts);
                let side = if *kube { "the API server" } else { "EC2" };
                Some(format!("{} cannot reach {side}", process.name()))
            }
            Operation::StaleWatch { replica, lasts } => {
                let process = process(replica)?;
                process.machine.hold_news(*lasts);
                Some(format!("the watches of {} deliver nothing", process.name()))
            }
            _ => None,
        }
    }

    /// If the replica has the role of another account: ends its process, and gives the next one its own role.
    fn bring_home(&self, n: usize) {
        if let Some(process) = self.process(n).filter(|process| process.machine.is_elsewhere()) {
            process.machine.set_elsewhere(false);
            process.kill(START);
        }
    }

    /// Lets all frozen processes continue, and restores all machines and roles.
    pub fn mend(&self) {
        for n in 0..self.count() {
            self.bring_home(n);
            if let Some(process) = self.process(n) {
                process.freeze(false);
                process.machine.mend();
            }
        }
    }
}
