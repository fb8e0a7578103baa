//! Compares the fused operator (batch norm, ReLU, max pool) with libtorch's three operators on a GPU, at the shapes of
//! model 1's blocks, and tries CUDA graphs: prints one JSON object.
//!
//! Differences are those to the same arithmetic in f64, of each operator alone; both read the same x. Times are medians
//! of a graph's replays (what the GPU needs) and of ordinary calls (with what the processor needs).

use std::io::{self, Write};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use leitmotif_benches::pairs::median;
use leitmotif_train::error::TrainError;
use leitmotif_train::model::cuda;
use leitmotif_train::model::native::{self, Graph, Norm};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

/// Channels, samples before the pool and pool of model 1's blocks (`models/presets/model1.toml`).
const BLOCKS: [(i64, i64, i64); 10] = [
    (64, 19683, 1),
    (64, 19683, 3),
    (128, 6561, 3),
    (128, 2187, 3),
    (128, 729, 3),
    (128, 243, 3),
    (128, 81, 3),
    (128, 27, 3),
    (256, 9, 3),
    (256, 3, 3),
];
/// Windows that do not divide the samples, and channels that are no whole vectors.
const ODD: [(i64, i64, i64); 4] = [(20, 1000, 3), (128, 1001, 4), (64, 999, 2), (7, 50, 3)];
const MOMENTUM: f64 = 0.25;
const EPSILON: f64 = 1e-3;

#[derive(Parser)]
struct Arguments {
    /// Clips of a batch
    #[arg(long, default_value_t = 16)]
    batch: i64,
    /// Segments of a clip
    #[arg(long, default_value_t = 7)]
    segments: i64,
    /// Timed replays and calls of each operator
    #[arg(long, default_value_t = 15)]
    repeats: usize,
    /// Calls in one replay
    #[arg(long, default_value_t = 10)]
    calls: usize,
    /// Only tries a capture that must fail
    #[arg(long)]
    refused: bool,
}

/// The parameters of one norm and what it is applied to.
struct Case {
    x: Tensor,
    dy: Tensor,
    gamma: Tensor,
    beta: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    pool: i64,
}

#[derive(Clone, Copy, PartialEq)]
enum Operator {
    Fused,
    Libtorch,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let Ok(device) = cuda::device(0) else {
        return print(&json!({"skipped": "no GPU"}));
    };
    native::available()?;
    if arguments.refused {
        return print(&refused(device)?);
    }
    let mut odd = Vec::new();
    let mut blocks = Vec::new();
    for kind in [Kind::BFloat16, Kind::Float] {
        for shape in ODD {
            let case = Case::new(3, 2, shape, kind, device)?;
            odd.push(json!({
                "shape": case.x.size(), "pool": case.pool, "kind": name(kind), "differences": case.differences()?,
            }));
        }
        for shape in BLOCKS {
            let case = Case::new(arguments.batch, arguments.segments, shape, kind, device)?;
            let mut measured = json!({
                "shape": case.x.size(), "pool": case.pool, "kind": name(kind), "differences": case.differences()?,
            });
            let (forward, backward) = case.bytes();
            measured["bytes"] = json!({"forward": forward, "backward": backward});
            for (operator, name) in [(Operator::Fused, "fused"), (Operator::Libtorch, "libtorch")] {
                let called = case.times(operator, arguments.repeats, arguments.calls, false)?;
                let [there, back] =
                    case.times(operator, arguments.repeats, arguments.calls, true)?;
                measured[name] = json!({
                    "forward_ms": there, "backward_ms": back,
                    "forward_tb_per_s": forward as f64 / there / 1e9, "backward_tb_per_s": backward as f64 / back / 1e9,
                    "called_forward_ms": called[0], "called_backward_ms": called[1],
                });
            }
            blocks.push(measured);
        }
    }
    print(&json!({
        "batch": arguments.batch, "segments": arguments.segments,
        "bytes": "what the fused operator must move; backward with the gradient of ones that libtorch fills first",
        "graph": graph(device)?, "repeats_to_the_bit": repeats(device)?, "nan": nan(device)?,
        "odd": odd, "blocks": blocks,
    }))
}

impl Case {
    fn new(
        batch: i64,
        segments: i64,
        (channels, samples, pool): (i64, i64, i64),
        kind: Kind,
        device: Device,
    ) -> anyhow::Result<Self> {
        tch::manual_seed(channels * samples);
        let floats = (Kind::Float, device);
        let drawn = |samples: i64| -> anyhow::Result<Tensor> {
            let rows = Tensor::f_randn([batch, segments, samples, channels], floats)?;
            Ok(rows.f_to_kind(kind)?.f_permute([0, 3, 1, 2])?)
        };
        let values = || Tensor::f_randn([channels], floats);
        // Channels differ in mean and spread, as those of a convolution do.
        let spread = values()?.f_exp()?.f_reshape([1, channels, 1, 1])?;
        let x =
            drawn(samples)?.f_mul(&spread)?.f_add(&values()?.f_reshape([1, channels, 1, 1])?)?;
        let x = x.f_to_kind(kind)?.f_set_requires_grad(true)?;
        Ok(Case {
            x,
            dy: drawn(samples / pool)?,
            gamma: values()?.f_set_requires_grad(true)?,
            beta: values()?.f_set_requires_grad(true)?,
            running_mean: values()?,
            running_var: values()?.f_exp()?,
            pool,
        })
    }

    fn forward(&self, operator: Operator) -> Result<Tensor, TrainError> {
        if operator == Operator::Fused {
            let norm = Norm {
                gamma: &self.gamma,
                beta: &self.beta,
                running_mean: &self.running_mean,
                running_var: &self.running_var,
                momentum: MOMENTUM,
                epsilon: EPSILON,
            };
            return Ok(native::norm_relu_pool(&self.x, norm, self.pool)?);
        }
        let normed = self.x.f_batch_norm(
            Some(&self.gamma),
            Some(&self.beta),
            Some(&self.running_mean),
            Some(&self.running_var),
            true,
            MOMENTUM,
            EPSILON,
            true,
        )?;
        let y = normed.f_relu()?;
        if self.pool == 1 {
            return Ok(y);
        }
        let size = [1, self.pool];
        Ok(y.f_max_pool2d(size, size, [0, 0], [1, 1], false)?)
    }

    /// Everything that an operator computes, with fresh running statistics.
    fn results(&self, operator: Operator) -> Result<Vec<Tensor>, TrainError> {
        let case = Case {
            x: self.x.shallow_clone(),
            dy: self.dy.shallow_clone(),
            gamma: self.gamma.shallow_clone(),
            beta: self.beta.shallow_clone(),
            running_mean: self.running_mean.f_detach_copy()?,
            running_var: self.running_var.f_detach_copy()?,
            pool: self.pool,
        };
        let y = case.forward(operator)?;
        let weighted = y.f_mul(&case.dy)?.f_sum(Kind::Float)?;
        let inputs = [&case.x, &case.gamma, &case.beta];
        let mut results = vec![y.f_detach()?];
        results.extend(Tensor::f_run_backward(&[weighted], &inputs, false, false)?);
        results.extend([case.running_mean, case.running_var]);
        Ok(results)
    }

    fn differences(&self) -> anyhow::Result<Value> {
        let double = |tensor: &Tensor, grad: bool| -> anyhow::Result<Tensor> {
            Ok(tensor.f_detach()?.f_to_kind(Kind::Double)?.f_set_requires_grad(grad)?)
        };
        let reference = Case {
            x: double(&self.x, true)?,
            dy: double(&self.dy, false)?,
            gamma: double(&self.gamma, true)?,
            beta: double(&self.beta, true)?,
            running_mean: double(&self.running_mean, false)?,
            running_var: double(&self.running_var, false)?,
            pool: self.pool,
        }
        .results(Operator::Libtorch)?;
        let mut differences = json!({});
        for (operator, name) in [(Operator::Fused, "fused"), (Operator::Libtorch, "libtorch")] {
            let found = self.results(operator)?;
            let names = ["y", "dx", "dgamma", "dbeta", "running_mean", "running_var"];
            for ((value, found), expected) in names.iter().zip(&found).zip(&reference) {
                differences[name][value] = difference(found, expected)?;
            }
        }
        Ok(differences)
    }

    /// What the fused operator must move: x twice and y; x and dy twice, dx, and dy once more for the ones.
    fn bytes(&self) -> (usize, usize) {
        let size = self.x.kind().elt_size_in_bytes();
        let (x, y) = (self.x.numel() * size, self.dy.numel() * size);
        (2 * x + y, 3 * x + 3 * y)
    }

    fn backward(&self, y: &Tensor) -> Result<(), TrainError> {
        let inputs = [&self.x, &self.gamma, &self.beta];
        Tensor::f_run_backward(&[y], &inputs, false, false)?;
        Ok(())
    }

    /// Milliseconds of one forward and of one backward pass; the second is the difference between both and the first.
    fn times(
        &self,
        operator: Operator,
        repeats: usize,
        calls: usize,
        recorded: bool,
    ) -> anyhow::Result<[f64; 2]> {
        let there = || -> Result<(), TrainError> {
            for _ in 0..calls {
                let _ = self.forward(operator)?;
            }
            Ok(())
        };
        let both = || -> Result<(), TrainError> {
            for _ in 0..calls {
                self.backward(&self.forward(operator)?)?;
            }
            Ok(())
        };
        let [there, both] = if recorded {
            [replayed(&there, repeats)?, replayed(&both, repeats)?]
        } else {
            [timed(&there, repeats)?, timed(&both, repeats)?]
        };
        let calls = calls as f64;
        Ok([there / calls, (both - there) / calls])
    }
}

fn timed(work: &dyn Fn() -> Result<(), TrainError>, repeats: usize) -> Result<f64, TrainError> {
    work()?;
    let mut milliseconds = Vec::new();
    for _ in 0..repeats {
        native::synchronize()?;
        let began = Instant::now();
        work()?;
        native::synchronize()?;
        milliseconds.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&milliseconds))
}

fn replayed(work: &dyn Fn() -> Result<(), TrainError>, repeats: usize) -> Result<f64, TrainError> {
    native::on_side_stream(work)?;
    let (graph, ()) = Graph::capture(work)?;
    timed(&|| Ok(graph.replay()?), repeats)
}

/// The largest and the root mean square difference over the same of the reference, and how many values are off by more
/// than a hundredth of the largest: where two positions of a window are nearly equal, rounding decides which one wins.
fn difference(found: &Tensor, expected: &Tensor) -> anyhow::Result<Value> {
    ensure!(found.size() == expected.size(), "{:?} is not {:?}", found.size(), expected.size());
    let off = found.f_to_kind(Kind::Double)?.f_sub(&expected.f_detach()?)?.f_abs()?;
    let size = expected.f_detach()?.f_abs()?;
    let root = |tensor: &Tensor| -> anyhow::Result<f64> {
        Ok(tensor.f_square()?.f_mean(Kind::Double)?.f_double_value(&[])?.sqrt())
    };
    let largest = size.f_max()?.f_double_value(&[])?;
    let far = off.f_gt(largest / 100.0)?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
    Ok(json!({
        "largest": off.f_max()?.f_double_value(&[])? / largest,
        "rms": root(&off)? / root(&size)?,
        "far": far,
    }))
}

/// A recorded chain follows its input, and does nothing while it is recorded.
fn graph(device: Device) -> anyhow::Result<Value> {
    let options = (Kind::Float, device);
    let mut x = Tensor::f_zeros([4, 1000], options)?;
    let mut count = Tensor::f_zeros([1], options)?;
    let mut chain = || -> Result<Tensor, TrainError> {
        let _ = count.f_add_scalar_(1.0)?;
        Ok(x.f_mul_scalar(2.0)?.f_add_scalar(1.0)?.f_relu()?.f_softmax(1, Kind::Float)?)
    };
    let _ = native::on_side_stream(&mut chain)?;
    let (graph, y) = Graph::capture(&mut chain)?;
    let mut worst: f64 = 0.0;
    for _ in 0..3 {
        let given = Tensor::f_randn([4, 1000], options)?;
        x.f_copy_(&given)?;
        graph.replay()?;
        let expected =
            given.f_mul_scalar(2.0)?.f_add_scalar(1.0)?.f_relu()?.f_softmax(1, Kind::Float)?;
        worst = worst.max(y.f_sub(&expected)?.f_abs()?.f_max()?.f_double_value(&[])?);
    }
    let counted = count.f_double_value(&[0])?;
    Ok(json!({
        "largest_difference": worst, "runs": counted, "runs_expected": 4,
    }))
}

/// What cannot be recorded is an error, and the next capture works again.
fn refused(device: Device) -> anyhow::Result<Value> {
    let x = Tensor::f_ones([1000], (Kind::Float, device))?;
    let waiting = Graph::capture(|| -> Result<f64, TrainError> {
        Ok(x.f_sum(Kind::Float)?.f_double_value(&[])?)
    });
    let waiting = waiting.err().map(|error| error.to_string());
    let tripled = || -> Result<Tensor, TrainError> { Ok(x.f_mul_scalar(3.0)?) };
    let _ = native::on_side_stream(tripled)?;
    let (graph, tripled) = Graph::capture(tripled).context("a capture after a failed one")?;
    graph.replay()?;
    let sum = tripled.f_sum(Kind::Float)?.f_double_value(&[])?;
    Ok(json!({"waiting": waiting, "next_capture_works": sum == 3000.0}))
}

/// Whether two runs, and a replayed one, give the same bits.
fn repeats(device: Device) -> anyhow::Result<bool> {
    let case = Case::new(4, 7, (128, 2187, 3), Kind::BFloat16, device)?;
    let first = case.results(Operator::Fused)?;
    let again = native::on_side_stream(|| case.results(Operator::Fused))?;
    let (graph, recorded) = Graph::capture(|| case.results(Operator::Fused))?;
    graph.replay()?;
    native::synchronize()?;
    Ok(first.iter().zip(&again).zip(&recorded).all(|((a, b), c)| a.equal(b) && a.equal(c)))
}

/// Whether one NaN makes all of its channel NaN, and of no other.
fn nan(device: Device) -> anyhow::Result<bool> {
    let case = Case::new(2, 3, (8, 30, 3), Kind::Float, device)?;
    let _ = case
        .x
        .f_detach()?
        .f_select(1, 5)?
        .f_select(0, 1)?
        .f_select(0, 2)?
        .f_select(0, 7)?
        .f_fill_(f64::NAN)?;
    let results = case.results(Operator::Fused)?;
    let (y, dx) = (&results[0], &results[1]);
    Ok([y, dx].iter().all(|tensor| {
        (0..8).all(|channel| {
            let wrong = tensor.select(1, channel).isnan();
            (if channel == 5 { wrong.all() } else { wrong.any().logical_not() }).double_value(&[])
                != 0.0
        })
    }))
}

fn name(kind: Kind) -> &'static str {
    if kind == Kind::BFloat16 { "bf16" } else { "f32" }
}

fn print(result: &Value) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{result}")?)
}
