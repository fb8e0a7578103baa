//! The machine that trains: sums differ in their last bits between processors with other instructions, and between GPUs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::model::version;

/// Name of the processor, with the widest vector instructions that libtorch uses of it.
pub fn processor() -> String {
    let name = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    // libtorch's own variable for fewer instructions than there are.
    let instructions = std::env::var("ATEN_CPU_CAPABILITY").unwrap_or_else(|_| instructions());
    format!("{name} ({instructions})")
}

/// Name of the graphics card, as NVIDIA's driver gives it; of different cards all names.
pub fn card() -> Option<String> {
    let cards = fs::read_dir("/proc/driver/nvidia/gpus").ok()?.flatten();
    let name = |card: fs::DirEntry| field(card.path().join("information").to_str()?, "Model");
    let names: BTreeSet<String> = cards.filter_map(name).collect();
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
}

/// What a run computes with, by the names that a record has for them: libtorch and the processor; on a GPU its name,
/// driver, CUDA's runtime and cuDNN, too.
pub fn tools(on_gpu: bool) -> BTreeMap<String, String> {
    let mut tools = BTreeMap::from([
        ("leitmotif-train".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("libtorch".to_owned(), version::libtorch().to_owned()),
        ("processor".to_owned(), processor()),
    ]);
    if on_gpu {
        let driver = fs::read_to_string("/sys/module/nvidia/version").ok();
        let versions = [
            ("GPU", card()),
            ("NVIDIA driver", driver.map(|version| version.trim().to_owned())),
            ("CUDA runtime", Some(tch::utils::version_cudart().to_string())),
            ("cuDNN", Some(tch::utils::version_cudnn().to_string())),
        ];
        for (tool, version) in versions {
            tools.insert(tool.to_owned(), version.unwrap_or_else(|| "unknown".to_owned()));
        }
    }
    tools
}

#[cfg(target_arch = "x86_64")]
fn instructions() -> String {
    if is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512bw") {
        "AVX-512"
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        "AVX2"
    } else {
        "SSE"
    }
    .to_owned()
}

#[cfg(not(target_arch = "x86_64"))]
fn instructions() -> String {
    std::env::consts::ARCH.to_owned()
}

/// The first value of a field in a file of `NAME : value` lines.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpus_tools_name_libtorch_and_the_processor() {
        let tools = tools(false);
        let names: Vec<&str> = tools.keys().map(String::as_str).collect();
        assert_eq!(names, ["leitmotif-train", "libtorch", "processor"]);
        assert!(tools["processor"].ends_with(')'), "{tools:?}");
    }
}
