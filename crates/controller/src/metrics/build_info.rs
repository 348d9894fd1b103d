//! The metric that names the build.

use super::description::{Kind, Metric};
use super::exposition::{Exposition, Value};

const BUILD_INFO: Metric = Metric::stable(
    "multi_eni_build_info",
    Kind::Gauge,
    &["version"],
    "Always 1. The label has the version of this binary",
);

/// All metrics of this file.
#[cfg(test)]
pub const ALL: &[Metric] = &[BUILD_INFO];

/// Writes them.
pub fn write(out: &mut Exposition) {
    out.add(&BUILD_INFO, [(vec![env!("CARGO_PKG_VERSION").to_owned()], Value::Whole(1))]);
}
