//! The network once more, as naive loops over the unfolded parameters in torch's conventions and in f64.
//!
//! It shares no line with the exporter: batch norms are where they were in training, gates are i, f, g, o, and
//! convolutions are sums over channels and taps.

use leitmotif_models::{BatchNorm, Block, BlockKind, Energy, HeadKind, Network, TimePool};

use super::Tensors;

pub struct Reference<'a> {
    pub network: &'a Network,
    pub weights: &'a Tensors,
}

/// The network's outputs for one segment; an LSTM's after all segments so far.
#[derive(Clone, Debug)]
pub struct Answer {
    pub logits: Vec<f64>,
    pub probabilities: Vec<f64>,
    pub embedding: Vec<f64>,
    /// Cell state; empty under a dense head.
    pub cell: Vec<f64>,
}

impl Reference<'_> {
    /// Every whole segment of `waveform` in order; an LSTM starts from zeros.
    pub fn segments(&self, waveform: &[f32]) -> Vec<Answer> {
        let units = self.network.head.units;
        let (mut h, mut c) = (vec![0.0; units], vec![0.0; units]);
        let mut answers = Vec::new();
        let mut start = 0;
        while start + self.network.segment <= waveform.len() {
            let segment = &waveform[start..start + self.network.segment];
            let answer = self.step(segment, &h, &c);
            (h, c) = (answer.embedding.clone(), answer.cell.clone());
            answers.push(answer);
            start += self.network.hop;
        }
        answers
    }

    /// One segment, after the state `h`, `c` if the head is an LSTM.
    pub fn step(&self, segment: &[f32], h: &[f64], c: &[f64]) -> Answer {
        let features = self.features(segment);
        let (embedding, cell) = match self.network.head.kind {
            HeadKind::Dense => {
                let y = self.linear("dense.weight", None, &features);
                let y = y.iter().enumerate().map(|(unit, y)| self.norm("dense", unit)(*y));
                (y.map(f64::tanh).collect(), Vec::new())
            }
            HeadKind::Lstm => self.lstm(&features, h, c),
        };
        let logits = self.linear("output.weight", Some("output.bias"), &embedding);
        let sum: f64 = logits.iter().map(|x| x.exp()).sum();
        let probabilities = logits.iter().map(|x| x.exp() / sum).collect();
        Answer { logits, probabilities, embedding, cell }
    }

    fn features(&self, segment: &[f32]) -> Vec<f64> {
        let mut map: Vec<Vec<f64>> = vec![segment.iter().map(|x| f64::from(*x)).collect()];
        // Of an image, whose channels hold one band after another.
        let mut bands = 0;
        for (i, block) in self.network.blocks.iter().enumerate() {
            let name = format!("block{}", i + 1);
            if block.kind != BlockKind::Conv2d {
                map = self.block(&name, block, &map);
                continue;
            }
            if bands == 0 {
                bands = map.len();
                map = self.normed("block1", vec![map.concat()]).collect();
            }
            map = self.image_block(&name, block, &map, bands);
            bands /= block.pool;
        }
        match self.network.pool {
            None => map.into_iter().map(|channel| channel[0]).collect(),
            Some(pool) => self.summary(pool, &map),
        }
    }

    fn block(&self, name: &str, block: &Block, map: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let rectified = |channel: Vec<f64>| channel.into_iter().map(|x| x.max(0.0)).collect();
        let whole: Vec<Vec<f64>> = match block.kind {
            BlockKind::Conv => {
                self.normed(name, self.convolved(name, block, map)).map(rectified).collect()
            }
            BlockKind::Energy => {
                let filtered = self.convolved(name, block, map);
                let (cosines, sines) = filtered.split_at(block.filters);
                let energy = |(a, b): (&Vec<f64>, &Vec<f64>)| -> Vec<f64> {
                    let energies: Vec<f64> = a.iter().zip(b).map(|(a, b)| a * a + b * b).collect();
                    let mean = |energies: &[f64]| energies.iter().sum::<f64>() / block.pool as f64;
                    let means = energies.chunks_exact(block.pool).map(mean);
                    let averages = block.pool > 1;
                    let epsilon = if averages { Energy::EPSILON_OF_MEANS } else { Energy::EPSILON };
                    means.map(|mean| (mean + f64::from(epsilon)).ln()).collect()
                };
                let energies: Vec<Vec<f64>> = cosines.iter().zip(sines).map(energy).collect();
                // In front of an image there is one norm of all bands.
                match self.weights[&format!("{name}.norm.weight")].1.len() {
                    1 => energies,
                    _ => self.normed(name, energies).collect(),
                }
            }
            BlockKind::Conv2d => unreachable!("it has an image"),
            BlockKind::Residual => {
                let [first, second] = ["first", "second"].map(|part| format!("{name}.{part}"));
                let inner = self.convolved(&first, block, map);
                let inner: Vec<Vec<f64>> = self.normed(&first, inner).map(rectified).collect();
                let inner = self.convolved(&second, block, &inner);
                let mut sum: Vec<Vec<f64>> = self.normed(&second, inner).collect();
                if block.squeeze.is_some() {
                    let mean =
                        |channel: &Vec<f64>| channel.iter().sum::<f64>() / channel.len() as f64;
                    let means: Vec<f64> = sum.iter().map(mean).collect();
                    let part = |part: &str| format!("{name}.{part}");
                    let (w, b) = (part("squeeze.weight"), part("squeeze.bias"));
                    let units: Vec<f64> =
                        self.linear(&w, Some(&b), &means).iter().map(|x| x.max(0.0)).collect();
                    let (w, b) = (part("excite.weight"), part("excite.bias"));
                    for (channel, x) in sum.iter_mut().zip(self.linear(&w, Some(&b), &units)) {
                        channel.iter_mut().for_each(|y| *y *= 1.0 / (1.0 + (-x).exp()));
                    }
                }
                for (position, _) in map[0].iter().enumerate() {
                    let before: Vec<f64> = map.iter().map(|channel| channel[position]).collect();
                    let skip = match self.weights.contains_key(&format!("{name}.skip.weight")) {
                        true => self.linear(&format!("{name}.skip.weight"), None, &before),
                        false => before,
                    };
                    for (channel, skip) in sum.iter_mut().zip(skip) {
                        channel[position] += skip;
                    }
                }
                sum.into_iter().map(rectified).collect()
            }
        };
        if block.kind == BlockKind::Energy {
            return whole;
        }
        let largest = |window: &[f64]| window.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let pooled = |channel: Vec<f64>| channel.chunks_exact(block.pool).map(largest).collect();
        whole.into_iter().map(pooled).collect()
    }

    /// By the definition of a 2-D convolution, one output value after another.
    fn image_block(
        &self,
        name: &str,
        block: &Block,
        map: &[Vec<f64>],
        bands: usize,
    ) -> Vec<Vec<f64>> {
        let (shape, weight) = &self.weights[&format!("{name}.conv.weight")];
        let length = map[0].len() / bands;
        assert_eq!(shape[..], [block.filters, map.len(), block.kernel, block.kernel]);
        let reach = block.kernel as isize / 2;
        let at = |channel: usize, band: isize, position: isize| {
            let inside =
                (0..bands as isize).contains(&band) && (0..length as isize).contains(&position);
            if inside { map[channel][band as usize * length + position as usize] } else { 0.0 }
        };
        let sum = |filter: usize, band: isize, position: isize| {
            let mut weights = weight[filter * map.len() * block.kernel * block.kernel..].iter();
            let mut sum = 0.0;
            for channel in 0..map.len() {
                for y in -reach..=reach {
                    for x in -reach..=reach {
                        sum += f64::from(*weights.next().unwrap())
                            * at(channel, band + y, position + x);
                    }
                }
            }
            sum
        };
        (0..block.filters)
            .map(|filter| {
                let norm = self.norm(name, filter);
                let value = |band: usize, position: usize| {
                    norm(sum(filter, band as isize, position as isize)).max(0.0)
                };
                let pool = block.pool;
                let mut pooled = Vec::new();
                for band in 0..bands / pool {
                    for position in 0..length / pool {
                        let window = (0..pool * pool)
                            .map(|i| value(band * pool + i / pool, position * pool + i % pool));
                        pooled.push(window.fold(f64::NEG_INFINITY, f64::max));
                    }
                }
                pooled
            })
            .collect()
    }

    fn convolved(&self, name: &str, block: &Block, map: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let (shape, weight) = &self.weights[&format!("{name}.conv.weight")];
        let (taps, length) = (shape[2], map[0].len());
        assert_eq!(shape[1], map.len());
        let positions = (length + 2 * block.padding - taps) / block.stride + 1;
        let filtered = |filter: usize| {
            let at_position = |position: usize| {
                let mut sum = 0.0;
                for (channel, x) in map.iter().enumerate() {
                    for tap in 0..taps {
                        let at = position * block.stride + tap;
                        if at >= block.padding && at - block.padding < length {
                            let w = weight[(filter * map.len() + channel) * taps + tap];
                            sum += f64::from(w) * x[at - block.padding];
                        }
                    }
                }
                sum
            };
            (0..positions).map(at_position).collect()
        };
        (0..shape[0]).map(filtered).collect()
    }

    fn normed<'a>(
        &'a self,
        name: &'a str,
        map: Vec<Vec<f64>>,
    ) -> impl Iterator<Item = Vec<f64>> + 'a {
        map.into_iter().enumerate().map(move |(filter, channel)| {
            channel.into_iter().map(self.norm(name, filter)).collect()
        })
    }

    /// Mean, or mean and deviation, of every position alike or by its score.
    fn summary(&self, pool: TimePool, map: &[Vec<f64>]) -> Vec<f64> {
        let positions = map[0].len();
        let score = |position: usize| match pool {
            TimePool::Mean | TimePool::Statistics => 0.0,
            TimePool::Attention => {
                let x: Vec<f64> = map.iter().map(|channel| channel[position]).collect();
                let hidden = self.linear("pool.hidden.weight", Some("pool.hidden.bias"), &x);
                let bounded: Vec<f64> = hidden.into_iter().map(f64::tanh).collect();
                self.linear("pool.score.weight", None, &bounded)[0]
            }
        };
        let weights: Vec<f64> = (0..positions).map(|position| score(position).exp()).collect();
        let all: f64 = weights.iter().sum();
        let mean_of = |values: &dyn Fn(f64) -> f64, channel: &[f64]| {
            channel.iter().zip(&weights).map(|(x, w)| w * values(*x)).sum::<f64>() / all
        };
        let means: Vec<f64> = map.iter().map(|channel| mean_of(&|x| x, channel)).collect();
        let deviations = map.iter().zip(&means).map(|(channel, mean)| {
            (mean_of(&|x| (x - mean).powi(2), channel) + 1e-5f32 as f64).sqrt()
        });
        match pool {
            TimePool::Mean => means.clone(),
            TimePool::Statistics | TimePool::Attention => {
                means.iter().copied().chain(deviations).collect()
            }
        }
    }

    fn norm(&self, name: &str, channel: usize) -> impl Fn(f64) -> f64 {
        let part = |part: &str| f64::from(self.weights[&format!("{name}.norm.{part}")].1[channel]);
        let (scale, shift, mean) = (part("weight"), part("bias"), part("running_mean"));
        let deviation = (part("running_var") + f64::from(BatchNorm::EPSILON)).sqrt();
        move |x| (x - mean) / deviation * scale + shift
    }

    fn linear(&self, weight: &str, bias: Option<&str>, x: &[f64]) -> Vec<f64> {
        let (shape, w) = &self.weights[weight];
        (0..shape[0])
            .map(|row| {
                let sum: f64 =
                    x.iter().enumerate().map(|(i, x)| f64::from(w[row * shape[1] + i]) * x).sum();
                sum + bias.map_or(0.0, |bias| f64::from(self.weights[bias].1[row]))
            })
            .collect()
    }

    fn lstm(&self, x: &[f64], h: &[f64], c: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let from_input = self.linear("lstm.weight_ih", Some("lstm.bias_ih"), x);
        let from_state = self.linear("lstm.weight_hh", Some("lstm.bias_hh"), h);
        let sums: Vec<f64> = from_input.iter().zip(&from_state).map(|(a, b)| a + b).collect();
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let units = h.len();
        let cell: Vec<f64> = (0..units)
            .map(|u| {
                let (i, f, g) = (sums[u], sums[units + u], sums[2 * units + u]);
                sigmoid(f) * c[u] + sigmoid(i) * g.tanh()
            })
            .collect();
        let hidden = (0..units).map(|u| sigmoid(sums[3 * units + u]) * cell[u].tanh()).collect();
        (hidden, cell)
    }
}
