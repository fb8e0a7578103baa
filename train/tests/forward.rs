//! The forward pass against plain loops, and the batch norm in training and evaluation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod tones;

use leitmotif_models::{Conv, HeadKind, Layer, Network, Random, Shape, TimePool};
use leitmotif_train::model::network::Model;
use leitmotif_train::model::precision::Precision;
use leitmotif_train::model::tensors::Tensors;
use tch::{Device, Kind, Tensor};
use tones::{POOLS, image_network, network, pooled_network};

/// Random values for every tensor, so that omitting one makes a difference; variances stay positive.
fn random_weights(network: &Network, classes: usize) -> Tensors {
    let mut weights =
        Model::new(network.clone(), classes, 3, Device::Cpu).unwrap().values().unwrap();
    let mut random = Random::derive(1, "weights", &[]);
    for (name, values) in &mut weights {
        let low = if name.ends_with("running_var") { 0.3 } else { -1.0 };
        values.data.iter_mut().for_each(|v| *v = random.uniform(low, 1.0) as f32);
    }
    weights
}

/// One segment's features as `[channels][positions]`, then `[units][1]`, by the definitions of the layers.
fn blocks_by_hand(network: &Network, w: &Tensors, segment: &[f32]) -> Vec<f64> {
    let mut x = vec![segment.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>()];
    let mut kept = Vec::new();
    for step in network.steps(3) {
        let at = |name: &str, i: usize| f64::from(w[&format!("{}.{name}", step.name)].data[i]);
        // Row by row, on the values of one position.
        let product = |name: &str, rows: usize, x: &[f64]| -> Vec<f64> {
            let row = |r: usize| (0..x.len()).map(|i| at(name, r * x.len() + i) * x[i]).sum();
            (0..rows).map(row).collect()
        };
        let with_bias = |name: &str, x: Vec<f64>| -> Vec<f64> {
            x.iter().enumerate().map(|(i, v)| v + at(name, i)).collect()
        };
        x = match step.layer {
            Layer::Conv(c) => convolved(&x, c, &|i| at("conv.weight", i)),
            Layer::Bands => vec![x.concat()],
            Layer::Conv2d(c) => {
                let Shape::Image { bands, length, .. } = step.input else { panic!() };
                let (k, reach) = (c.kernel, c.padding());
                // The image with zeros around it.
                let padded = |i: usize, band: usize, t: usize| {
                    let inside = (reach..reach + bands).contains(&band)
                        && (reach..reach + length).contains(&t);
                    if inside { x[i][(band - reach) * length + t - reach] } else { 0.0 }
                };
                let value = |f: usize, band: usize, t: usize| -> f64 {
                    let taps = (0..x.len() * k * k).map(|n| {
                        let (i, row, column) = (n / (k * k), n / k % k, n % k);
                        at("conv.weight", f * x.len() * k * k + n)
                            * padded(i, band + row, t + column)
                    });
                    taps.sum()
                };
                let image =
                    |f| (0..bands * length).map(|n| value(f, n / length, n % length)).collect();
                (0..c.filters).map(image).collect()
            }
            Layer::MaxPool2d { size } => {
                let Shape::Image { bands, length, .. } = step.input else { panic!() };
                let largest = |c: &[f64], band: usize, t: usize| {
                    let window = (0..size * size)
                        .map(|n| c[(band * size + n / size) * length + t * size + n % size]);
                    window.fold(f64::MIN, f64::max)
                };
                let columns = length / size;
                let windows = bands / size * columns;
                let pooled = |c: &Vec<f64>| {
                    (0..windows).map(|n| largest(c, n / columns, n % columns)).collect()
                };
                x.iter().map(pooled).collect()
            }
            Layer::Energy(energy) => {
                let filtered = convolved(&x, energy.conv, &|i| at("conv.weight", i));
                let log = |window: &[f64]| {
                    let mean = window.iter().sum::<f64>() / window.len() as f64;
                    (mean + f64::from(energy.epsilon)).ln()
                };
                let band = |i: usize| {
                    let sums: Vec<f64> = filtered[i]
                        .iter()
                        .zip(&filtered[energy.pairs() + i])
                        .map(|(a, b)| a * a + b * b)
                        .collect();
                    sums.chunks_exact(energy.pool).map(log).collect()
                };
                (0..energy.pairs()).map(band).collect()
            }
            Layer::BatchNorm(n) => x
                .iter()
                .enumerate()
                .map(|(c, channel)| {
                    let root = (at("norm.running_var", c) + f64::from(n.epsilon)).sqrt();
                    let scale = |v: &f64| (v - at("norm.running_mean", c)) / root;
                    channel
                        .iter()
                        .map(|v| at("norm.weight", c) * scale(v) + at("norm.bias", c))
                        .collect()
                })
                .collect(),
            Layer::Fork => {
                kept = x.clone();
                x
            }
            Layer::SqueezeExcite(config) => {
                let means: Vec<f64> =
                    x.iter().map(|c| c.iter().sum::<f64>() / c.len() as f64).collect();
                let units = product("squeeze.weight", config.squeezed, &means);
                let units = with_bias("squeeze.bias", units);
                let units: Vec<f64> = units.into_iter().map(|v| v.max(0.0)).collect();
                let excited = product("excite.weight", config.channels, &units);
                let excited = with_bias("excite.bias", excited);
                let scaled =
                    |(c, e): (&Vec<f64>, f64)| c.iter().map(|v| v / (1.0 + (-e).exp())).collect();
                x.iter().zip(excited).map(scaled).collect()
            }
            Layer::Add { kept: before, channels } => {
                let skip = |c: usize, t: usize| match before == channels {
                    true => kept[c][t],
                    false => {
                        (0..before).map(|i| at("skip.weight", c * before + i) * kept[i][t]).sum()
                    }
                };
                let channel = |(c, channel): (usize, &Vec<f64>)| {
                    channel.iter().enumerate().map(|(t, v)| v + skip(c, t)).collect()
                };
                x.iter().enumerate().map(channel).collect()
            }
            Layer::Relu => x.iter().map(|c| c.iter().map(|v| v.max(0.0)).collect()).collect(),
            Layer::Tanh => x.iter().map(|c| c.iter().map(|v| v.tanh()).collect()).collect(),
            Layer::MaxPool { size } => x
                .iter()
                .map(|c| {
                    c.chunks_exact(size)
                        .map(|p| p.iter().copied().fold(f64::MIN, f64::max))
                        .collect()
                })
                .collect(),
            Layer::TimePool { pool, channels } => {
                let score = |t: usize| -> f64 {
                    let column: Vec<f64> = x.iter().map(|c| c[t]).collect();
                    let units = TimePool::attention_units(channels);
                    let hidden = with_bias("hidden.bias", product("hidden.weight", units, &column));
                    let hidden: Vec<f64> = hidden.into_iter().map(f64::tanh).collect();
                    product("score.weight", 1, &hidden)[0].exp()
                };
                let shares: Vec<f64> = (0..x[0].len())
                    .map(|t| if pool == TimePool::Attention { score(t) } else { 1.0 })
                    .collect();
                let all: f64 = shares.iter().sum();
                let mean = |c: &[f64]| c.iter().zip(&shares).map(|(v, s)| v * s / all).sum::<f64>();
                let means: Vec<f64> = x.iter().map(|c| mean(c)).collect();
                let deviation = |(c, m): (&Vec<f64>, &f64)| {
                    let squares: Vec<f64> = c.iter().map(|v| (v - m).powi(2)).collect();
                    (mean(&squares) + f64::from(TimePool::EPSILON)).sqrt()
                };
                let deviations = x.iter().zip(&means).map(deviation);
                let wanted = pool.features(channels);
                means.iter().copied().chain(deviations).take(wanted).map(|v| vec![v]).collect()
            }
            Layer::Dense { inputs, units } => (0..units)
                .map(|u| vec![(0..inputs).map(|i| at("weight", u * inputs + i) * x[i][0]).sum()])
                .collect(),
            Layer::Positions | Layer::Flatten | Layer::Dropout { .. } => x,
            Layer::Lstm { .. } | Layer::Output { .. } | Layer::Softmax => break,
        };
    }
    x.into_iter().map(|c| c[0]).collect()
}

fn convolved(x: &[Vec<f64>], c: Conv, weight: &dyn Fn(usize) -> f64) -> Vec<Vec<f64>> {
    let padded = |channel: &[f64], t: usize| {
        t.checked_sub(c.padding).and_then(|t| channel.get(t)).copied().unwrap_or(0.0)
    };
    let length = (x[0].len() + 2 * c.padding - c.kernel) / c.stride + 1;
    let position = |f: usize, t: usize| {
        let mut sum = 0.0;
        for (i, channel) in x.iter().enumerate() {
            for k in 0..c.kernel {
                let weight = weight((f * c.in_channels + i) * c.kernel + k);
                sum += weight * padded(channel, t * c.stride + k);
            }
        }
        sum
    };
    (0..c.filters).map(|f| (0..length).map(|t| position(f, t)).collect()).collect()
}

/// Gates i, f, g, o as torch stacks them.
fn lstm_by_hand(w: &Tensors, features: &[Vec<f64>], units: usize) -> Vec<Vec<f64>> {
    let sigmoid = |v: f64| 1.0 / (1.0 + (-v).exp());
    let (mut h, mut c) = (vec![0.0; units], vec![0.0; units]);
    let at = |name: &str, i: usize| f64::from(w[&format!("lstm.{name}")].data[i]);
    let mut all = Vec::new();
    for x in features {
        let gate = |g: usize, u: usize, h: &[f64]| {
            let row = g * units + u;
            let from_x: f64 =
                x.iter().enumerate().map(|(i, v)| at("weight_ih", row * x.len() + i) * v).sum();
            let from_h: f64 =
                h.iter().enumerate().map(|(i, v)| at("weight_hh", row * units + i) * v).sum();
            from_x + from_h + at("bias_ih", row) + at("bias_hh", row)
        };
        let before = h.clone();
        for u in 0..units {
            c[u] = sigmoid(gate(1, u, &before)) * c[u]
                + sigmoid(gate(0, u, &before)) * gate(2, u, &before).tanh();
            h[u] = sigmoid(gate(3, u, &before)) * c[u].tanh();
        }
        all.push(h.clone());
    }
    all
}

#[test]
fn the_forward_pass_equals_the_definitions_of_the_layers() {
    let heads = [(HeadKind::Dense, 243), (HeadKind::Lstm, 243), (HeadKind::Dense, 100)];
    let networks = heads.into_iter().flat_map(|(head, hop)| {
        let pooled = POOLS.map(|pool| pooled_network(pool, head));
        let others = [network(head), image_network(head)].into_iter();
        others.chain(pooled).map(move |network| (network, head, hop))
    });
    for (mut network, head, hop) in networks {
        network.hop = hop;
        let weights = random_weights(&network, 3);
        let model = Model::from_values(network.clone(), 3, &weights, Device::Cpu).unwrap();
        let mut random = Random::derive(2, "waveform", &[]);
        let samples = 2 * hop + 243 + 5;
        let waveforms: Vec<f32> =
            (0..2 * samples).map(|_| random.uniform(-1.0, 1.0) as f32).collect();
        let input = Tensor::from_slice(&waveforms).reshape([2, samples as i64]);
        let output = tch::no_grad(|| model.forward(&input, None)).unwrap();
        assert_eq!(output.logits.size(), [2, 3, 3]);
        for (clip, waveform) in waveforms.chunks(samples).enumerate() {
            let features: Vec<Vec<f64>> = (0..3)
                .map(|s| blocks_by_hand(&network, &weights, &waveform[s * hop..s * hop + 243]))
                .collect();
            let units = network.head.units;
            let embedding = match head {
                HeadKind::Dense => features,
                HeadKind::Lstm => lstm_by_hand(&weights, &features, units),
            };
            for (segment, embedding) in embedding.iter().enumerate() {
                let logits: Vec<f64> = (0..3)
                    .map(|class| {
                        let weight =
                            |i: usize| f64::from(weights["output.weight"].data[class * units + i]);
                        let sum: f64 =
                            embedding.iter().enumerate().map(|(i, v)| weight(i) * v).sum();
                        sum + f64::from(weights["output.bias"].data[class])
                    })
                    .collect();
                for (expected, found) in [(embedding, &output.embedding), (&logits, &output.logits)]
                {
                    let found = found.get(clip as i64).get(segment as i64);
                    for (a, b) in expected.iter().zip(Vec::<f32>::try_from(found).unwrap()) {
                        assert!(
                            (a - f64::from(b)).abs() < 1e-5,
                            "{} {head} hop {hop}: {a} is not {b}",
                            network.name
                        );
                    }
                }
            }
        }
        // Input that is already cut into segments gives the same.
        let cut = input.unfold(1, 243, hop as i64);
        let again = tch::no_grad(|| model.forward(&cut, None)).unwrap().logits;
        assert!(again.allclose(&output.logits, 0.0, 0.0, false));
    }
}

#[test]
fn weights_come_back_as_they_were_given() {
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let weights = random_weights(&network(head), 3);
        let model = Model::from_values(network(head), 3, &weights, Device::Cpu).unwrap();
        assert_eq!(model.values().unwrap(), weights);
    }
}

#[test]
fn the_same_seed_gives_the_same_weights() {
    let weights =
        |seed| Model::new(network(HeadKind::Lstm), 3, seed, Device::Cpu).unwrap().values().unwrap();
    assert_eq!(weights(1), weights(1));
    assert_ne!(weights(1), weights(2));
}

/// A training pass, with the same masks each time; batch norms update statistics that it does not use.
fn loss(model: &Model, input: &Tensor) -> Tensor {
    let key = model.dropout_key(1).unwrap();
    let logits = model.forward(input, Some(&key)).unwrap().logits;
    let classes = Tensor::arange(logits.numel() as i64, (Kind::Float, Device::Cpu));
    (logits.flatten(0, 2) * (classes * 0.7).sin()).sum(Kind::Float)
}

/// Of every tensor, along a random direction: the slope that backpropagation gives is that of small steps.
#[test]
fn gradients_are_the_slopes_of_the_loss() {
    tch::set_num_threads(1);
    let pooled = POOLS.into_iter().zip([HeadKind::Dense, HeadKind::Dense, HeadKind::Lstm]);
    let pooled = pooled.map(|(pool, head)| pooled_network(pool, head));
    for network in pooled.chain([image_network(HeadKind::Dense)]) {
        let weights = random_weights(&network, 3);
        let mut model = Model::from_values(network.clone(), 3, &weights, Device::Cpu).unwrap();
        let mut random = Random::derive(4, "waveform", &[]);
        let waveform: Vec<f32> = (0..6 * 243).map(|_| random.normal() as f32).collect();
        let input = Tensor::from_slice(&waveform).reshape([3, -1]);
        loss(&model, &input).backward();
        for (name, tensor) in model.trainable().unwrap() {
            let gradient = tensor.grad();
            assert!(f64::try_from(gradient.abs().max()).unwrap() > 0.0, "{name} has no gradient");
        }
        let gradients: Vec<(String, Vec<f32>)> = model
            .trainable()
            .unwrap()
            .iter()
            .map(|(name, tensor)| {
                let gradient = tensor.grad().contiguous().flatten(0, -1);
                ((*name).to_owned(), Vec::<f32>::try_from(gradient).unwrap())
            })
            .collect();
        for (name, gradient) in gradients {
            let own = &weights[&name];
            let direction: Vec<f32> = gradient.iter().map(|g| g.signum()).collect();
            let slope: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(g * d)).sum();
            // Small enough that few ReLUs and maxima change sides, large enough for f32.
            let step = 1e-3 / (direction.len().max(16) as f32).sqrt();
            let mut at = |sign: f32| {
                let mut moved = own.clone();
                for (value, d) in moved.data.iter_mut().zip(&direction) {
                    *value += sign * step * d;
                }
                model.set_values(&Tensors::from([(name.clone(), moved)])).unwrap();
                f64::try_from(tch::no_grad(|| loss(&model, &input))).unwrap()
            };
            let found = (at(1.0) - at(-1.0)) / f64::from(2.0 * step);
            at(0.0);
            let gap = (found - slope).abs();
            assert!(
                gap < 0.1 * slope + 0.01,
                "{} {name}: {slope} by backpropagation, {found} by steps",
                network.name
            );
        }
    }
}

#[test]
fn dropout_is_for_training_alone_and_follows_from_seed_and_step() {
    let network = pooled_network(TimePool::Statistics, HeadKind::Dense);
    let model = |seed| {
        let weights = random_weights(&network, 3);
        let model = Model::from_values(network.clone(), 3, &weights, Device::Cpu).unwrap();
        model.with_dropout_seed(seed)
    };
    let input = Tensor::from_slice(&[0.25f32, -0.5, 0.75]).repeat([2, 243]);
    let logits = |seed, step: Option<u64>| {
        let model = model(seed);
        let key = step.map(|step| model.dropout_key(step).unwrap());
        tch::no_grad(|| model.forward(&input, key.as_ref()).unwrap().logits)
    };
    assert_eq!(logits(1, None), logits(2, None));
    assert_eq!(logits(1, Some(5)), logits(1, Some(5)));
    assert_ne!(logits(1, Some(5)), logits(1, Some(6)));
    assert_ne!(logits(1, Some(5)), logits(2, Some(5)));
}

#[test]
fn a_bf16_pass_is_near_one_in_f32_and_takes_energies_in_f32() {
    let pooled = POOLS.map(|pool| pooled_network(pool, HeadKind::Dense));
    for network in pooled.into_iter().chain([image_network(HeadKind::Dense)]) {
        let logits = |precision| {
            let weights = random_weights(&network, 3);
            let model = Model::from_values(network.clone(), 3, &weights, Device::Cpu).unwrap();
            let model = model.with_precision(precision);
            let mut random = Random::derive(4, "waveform", &[]);
            // So quiet that the squares are far below what separates two bf16 near ε.
            let waveform: Vec<f32> = (0..8 * 243).map(|_| 1e-4 * random.normal() as f32).collect();
            let input = Tensor::from_slice(&waveform).reshape([4, -1]);
            let key = model.dropout_key(1).unwrap();
            tch::no_grad(|| model.forward(&input, Some(&key)).unwrap().logits)
        };
        let (whole, half) = (logits(Precision::Fp32), logits(Precision::Bf16));
        let relative = f64::try_from((&whole - half).norm() / whole.norm()).unwrap();
        assert!(relative > 0.0 && relative < 0.05, "{}: {relative}", network.name);
    }
}

#[test]
fn keras_momentum_is_the_share_of_the_old_statistics() {
    let network = network(HeadKind::Dense);
    let statistics = |momentum| {
        let model =
            Model::new(network.clone(), 3, 1, Device::Cpu).unwrap().with_norm_momentum(momentum);
        let mut random = Random::derive(3, "waveform", &[]);
        let waveform: Vec<f32> = (0..4 * 243).map(|_| random.normal() as f32).collect();
        let input = Tensor::from_slice(&waveform).reshape([1, -1]);
        model.forward(&input, Some(&model.dropout_key(1).unwrap())).unwrap();
        let values = model.values().unwrap();
        // The first convolution's output, by libtorch itself.
        let weight = &values["block1.conv.weight"];
        let weight = Tensor::from_slice(&weight.data).reshape([8, 1, 3]);
        let segments = input.reshape([4, 1, 243]);
        let mapped = segments.conv1d(&weight, None::<Tensor>, 3, 0, 1, 1);
        let mean = mapped.mean_dim([0i64, 2].as_slice(), false, Kind::Float);
        let mean = Vec::<f32>::try_from(mean).unwrap();
        (
            values["block1.norm.running_mean"].data.clone(),
            values["block1.norm.running_var"].data.clone(),
            mean,
        )
    };
    // Running means start at 0: after one step they are the new share of the batch's own.
    let (running, variances, mean) = statistics(Some(0.75));
    for (running, mean) in running.iter().zip(&mean) {
        assert!((running - 0.25 * mean).abs() < 1e-5, "{running} is not a quarter of {mean}");
    }
    assert!(variances.iter().all(|v| *v > 0.75), "{variances:?}");
    let (running, _, mean) = statistics(None);
    for (running, mean) in running.iter().zip(&mean) {
        assert!((running - 0.01 * mean).abs() < 1e-6, "{running} is not a hundredth of {mean}");
    }
}

#[test]
fn an_input_of_another_shape_is_an_error() {
    let model = Model::new(network(HeadKind::Dense), 3, 1, Device::Cpu).unwrap();
    for shape in [&[2i64, 242][..], &[243], &[1, 2, 244], &[1, 0, 243], &[1, 1, 1, 243]] {
        let input = Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        let message = model.forward(&input, None).unwrap_err().to_string();
        assert!(message.contains("243"), "{message}");
    }
}
