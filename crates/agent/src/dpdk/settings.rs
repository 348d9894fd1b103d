//! The settings of DPDK: what the agent may switch on, and how long it waits.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of DPDK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpdkSettings {
    /// Whether the agent may load the module of a driver.
    pub load_modules: bool,
    /// Whether the agent may switch on vfio's mode without an IOMMU.
    pub enable_no_iommu: bool,
    /// How long a step may take before its device counts as held.
    pub deadline: Duration,
    /// Whether `driver_override` is read. A process that reads it of a device that the kernel has locked cannot end before the kernel
    /// unlocks the device, so `doctor` does not.
    pub reads_overrides: bool,
    /// Where processes are seen.
    pub proc: PathBuf,
    /// The program that loads modules.
    pub modprobe: PathBuf,
    /// The file in which upstream keeps what it has bound.
    pub upstream: PathBuf,
}

impl Default for DpdkSettings {
    fn default() -> Self {
        Self {
            load_modules: false,
            enable_no_iommu: false,
            deadline: Duration::from_secs(30),
            reads_overrides: true,
            proc: "/proc".into(),
            modprobe: "modprobe".into(),
            upstream: "/var/lib/aws-multi-eni-controller/interface-mappings.json".into(),
        }
    }
}
