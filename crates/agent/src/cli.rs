//! The command line. Every flag has an environment variable.

use crate::device_plugin::plugins::PluginDirectories;
use crate::device_plugin::pod_resources::PodResources;
use crate::device_plugin::pods::{Pods, take_back};
use crate::dpdk::settings::DpdkSettings;
use crate::node_agent::Directories;
use crate::plan::Settings;
use crate::plan::settings::is_protocol_in_use;
use crate::sysfs::KernelFiles;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Reads a protocol number that no known program uses.
fn free_protocol(text: &str) -> Result<u8, String> {
    let number: u8 = text.parse().map_err(|_| format!("{text:?} is no number from 0 to 255"))?;
    if is_protocol_in_use(number) {
        return Err(format!("other programs use the protocol {number}, and the agent would remove their routes"));
    }
    Ok(number)
}

/// Makes the ENIs that Multi-ENI attaches to this node usable interfaces.
#[derive(Debug, Parser)]
#[command(name = "multi-eni-agent", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Settings of all commands.
    #[command(flatten)]
    pub options: Options,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Configures the ENIs of this node, and goes on until SIGTERM.
    Run(Run),
    /// Prints what the agent sees on this node and what it would do, and changes nothing.
    Doctor(Source),
    /// Takes back everything that the agent has done on this node. Stop the agent first.
    Clean,
}

/// What `run` takes.
#[derive(Debug, Args)]
pub struct Run {
    /// Where the ENIAttachments come from.
    #[command(flatten)]
    pub source: Source,
    /// Address of `/metrics`, such as `[::]:61691`. Without it nothing serves metrics.
    #[arg(long, env = "METRICS_ADDR")]
    pub metrics_addr: Option<SocketAddr>,
    /// Address of `/healthz` and `/readyz`, such as `127.0.0.1:61690`. Without it nothing serves them.
    #[arg(long, env = "HEALTH_ADDR")]
    pub health_addr: Option<SocketAddr>,
}

/// Where the ENIAttachments come from.
#[derive(Debug, Args)]
pub struct Source {
    /// Name of this Node. Its ENIAttachments are read from the API server of the cluster, or of KUBECONFIG.
    #[arg(long, env = "NODE_NAME", required_unless_present = "attachments_file")]
    pub node_name: Option<String>,
    /// Read the ENIAttachments from a YAML file instead, and report nothing. With --node-name, only those of this Node. The file is read
    /// again at each event.
    #[arg(long, env = "ATTACHMENTS_FILE")]
    pub attachments_file: Option<PathBuf>,
}

/// Settings of all commands.
#[derive(Debug, Args)]
pub struct Options {
    /// Where sysfs is.
    #[arg(long, env = "SYSFS_ROOT", default_value = "/sys", global = true)]
    pub sysfs_root: PathBuf,
    /// Where the sysctls are. They must be writable.
    #[arg(long, env = "SYSCTL_ROOT", default_value = "/proc/sys", global = true)]
    pub sysctl_root: PathBuf,
    /// Where the agent keeps what it has changed.
    #[arg(long, env = "STATE_DIR", default_value = "/var/lib/multi-eni", global = true)]
    pub state_dir: PathBuf,
    /// Where the files of network managers are.
    #[arg(long, env = "RUN_DIR", default_value = "/run", global = true)]
    pub run_dir: PathBuf,
    /// Kinds of virtual links that count as ENIs, besides all physical links.
    #[arg(long, env = "LINK_KINDS", value_delimiter = ',', global = true)]
    pub link_kinds: Vec<String>,
    /// The protocol number of the agent's routes, rules and addresses. Nothing else on the node may use it.
    #[arg(long, env = "ROUTE_PROTOCOL", default_value_t = 217, value_parser = free_protocol, global = true)]
    pub route_protocol: u8,
    /// Where kubelet has the sockets of device plugins. `run` offers there the ENIs that have a dpdkResourceName.
    #[arg(long, env = "KUBELET_DIR", default_value = "/var/lib/kubelet/device-plugins", global = true)]
    pub kubelet_dir: PathBuf,
    /// Kubelet's socket that tells which devices pods have. A device stays where a pod has got it.
    #[arg(long, env = "POD_RESOURCES", default_value = "/var/lib/kubelet/pod-resources/kubelet.sock", global = true)]
    pub pod_resources: PathBuf,
    /// The name of the agent's own pod: kubelet knows the pods of the node when it tells of this one.
    #[arg(long, env = "POD_NAME", global = true)]
    pub pod_name: Option<String>,
    /// Where Multus reads device-info files.
    #[arg(long, env = "DEVICE_INFO_DIR", default_value = "/var/run/k8s.cni.cncf.io/devinfo/dp", global = true)]
    pub device_info_dir: PathBuf,
    /// Configuration file of the SR-IOV network device plugin. If it is set, `run` adds the ENIs there instead of offering them itself.
    #[arg(long, env = "SRIOV_DP_CONFIG_PATH", global = true)]
    pub sriov_config: Option<PathBuf>,
    /// What the agent may do for DPDK.
    #[command(flatten)]
    pub dpdk: DpdkOptions,
}

/// What the agent may do for DPDK. By default it loads no module and switches nothing on.
#[derive(Debug, Args)]
pub struct DpdkOptions {
    /// Load the module of a driver for DPDK if it is missing.
    #[arg(long, env = "LOAD_MODULES", global = true)]
    pub load_modules: bool,
    /// Switch on vfio's mode without an IOMMU if a device has none. A program with such a device can write to all memory of the node.
    #[arg(long, env = "ENABLE_NO_IOMMU", global = true)]
    pub enable_no_iommu: bool,
    /// After how many seconds a device that the kernel does not let go counts as held.
    #[arg(long, env = "DPDK_DEADLINE", default_value_t = 30, global = true)]
    pub dpdk_deadline: u64,
    /// Where the processes of the node are seen. It must be of the node's PID namespace to see who holds a device.
    #[arg(long, env = "PROC_ROOT", default_value = "/proc", global = true)]
    pub proc_root: PathBuf,
    /// The program that loads modules.
    #[arg(long, env = "MODPROBE", default_value = "modprobe", global = true)]
    pub modprobe: PathBuf,
    /// The file in which upstream keeps what it has bound. It is read alone.
    #[arg(
        long,
        env = "UPSTREAM_MAPPINGS",
        default_value = "/var/lib/aws-multi-eni-controller/interface-mappings.json",
        global = true
    )]
    pub upstream_mappings: PathBuf,
}

impl Options {
    /// What offers the ENIs to pods.
    pub fn pods(&self) -> Pods {
        match &self.sriov_config {
            Some(path) => Pods::with_sriov_config(&self.sysfs_root, path.clone()),
            None => {
                let directories = PluginDirectories {
                    kubelet: self.kubelet_dir.clone(),
                    device_info: self.device_info_dir.clone(),
                    sysfs: self.sysfs_root.clone(),
                    state: self.state_dir.clone(),
                    pod_resources: PodResources {
                        socket: self.pod_resources.clone(),
                        own_pod: self.pod_name.clone().filter(|name| !name.is_empty()),
                    },
                };
                Pods::with_plugins(&self.sysfs_root, directories)
            }
        }
    }

    /// Takes back what lies on the node for pods.
    pub fn take_back_from_pods(&self) -> Vec<Result<String, String>> {
        take_back(&self.device_info_dir, &self.state_dir, self.sriov_config.as_deref())
    }

    /// The directories.
    pub fn directories(&self) -> Directories {
        Directories {
            kernel: KernelFiles { sysfs: self.sysfs_root.clone(), sysctl: self.sysctl_root.clone() },
            run: self.run_dir.clone(),
            state: self.state_dir.clone(),
        }
    }

    /// The settings of the decisions.
    pub fn settings(&self) -> Settings {
        Settings { protocol: self.route_protocol, link_kinds: self.link_kinds.clone() }
    }

    /// The settings of DPDK.
    pub fn dpdk_settings(&self) -> DpdkSettings {
        let options = &self.dpdk;
        DpdkSettings {
            load_modules: options.load_modules,
            enable_no_iommu: options.enable_no_iommu,
            deadline: Duration::from_secs(options.dpdk_deadline),
            reads_overrides: true,
            proc: options.proc_root.clone(),
            modprobe: options.modprobe.clone(),
            upstream: options.upstream_mappings.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_flag_has_an_environment_variable() {
        let root = Cli::command();
        for command in std::iter::once(&root).chain(root.get_subcommands()) {
            let flags = command.get_arguments().filter(|flag| !["help", "version"].contains(&flag.get_id().as_str()));
            for flag in flags {
                assert!(flag.get_env().is_some(), "{} of {}", flag.get_id(), command.get_name());
            }
        }
    }

    #[test]
    fn a_protocol_that_others_use_is_refused_with_a_sentence() {
        let parse = |number: &str| Cli::try_parse_from(["multi-eni-agent", "clean", "--route-protocol", number]);
        for number in ["0", "2", "4", "8", "16", "18", "42", "99", "186", "192"] {
            let error = parse(number).unwrap_err().to_string();
            assert!(error.contains(&format!("other programs use the protocol {number}")), "{error}");
        }
        for number in ["5", "19", "43", "98", "100", "185", "193", "217", "255"] {
            assert_eq!(parse(number).unwrap().options.route_protocol.to_string(), number);
        }
        assert!(parse("256").is_err());
    }
}
