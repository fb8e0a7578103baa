//! How long a sum over all ranks takes, of so many values each: `torchrun --no-python … sum_of_ranks VALUES…`.
//!
//! Rank 0 prints a line of JSON for each number of values: the median of a hundred sums, after ten that do not count.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use leitmotif_train::ranks::group::{BACKEND, Ranks};
use leitmotif_train::ranks::meeting::Meeting;
use leitmotif_train::ranks::world::World;
use tch::{Device, Kind, Tensor};

fn main() -> anyhow::Result<()> {
    let Some(world) = World::from_environment()? else {
        anyhow::bail!("start it several times, e.g. with torchrun");
    };
    let meeting = Meeting::open(world, Duration::from_secs(60))?;
    let ranks = Ranks::join(&meeting, &BTreeMap::new(), &AtomicBool::new(false))?;
    for argument in std::env::args().skip(1) {
        let values: i64 = argument.parse()?;
        let tensor = Tensor::f_zeros([values], (Kind::Float, Device::Cpu))?;
        let mut seconds = Vec::new();
        for _ in 0..110 {
            let began = Instant::now();
            ranks.sum(&tensor)?;
            seconds.push(began.elapsed().as_secs_f64());
        }
        let mut counted = seconds.split_off(10);
        counted.sort_by(f64::total_cmp);
        let percentile = |p: usize| 1e3 * counted.get(counted.len() * p / 100).unwrap_or(&0.0);
        if ranks.is_first() {
            println!(
                "{{\"what\":\"sum\",\"backend\":\"{BACKEND}\",\"ranks\":{},\"bytes\":{},\"median_ms\":{:.3},\"p10_ms\":{:.3},\"p90_ms\":{:.3}}}",
                ranks.share().size,
                4 * values,
                percentile(50),
                percentile(10),
                percentile(90)
            );
        }
    }
    Ok(())
}
