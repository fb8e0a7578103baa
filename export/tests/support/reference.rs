//! The network once more, as naive loops over the unfolded parameters in torch's conventions and in f64.
//!
//! It shares no line with the exporter: batch norms are where they were in training, gates are i, f, g, o, and
//! convolutions are sums over channels and taps.

use leitmotif_models::{BatchNorm, Block, HeadKind, Network};

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
        for (i, block) in self.network.blocks.iter().enumerate() {
            map = self.block(&format!("block{}", i + 1), block, &map);
        }
        map.into_iter().map(|channel| channel[0]).collect()
    }

    fn block(&self, name: &str, block: &Block, map: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let (shape, weight) = &self.weights[&format!("{name}.conv.weight")];
        let (taps, length) = (shape[2], map[0].len());
        assert_eq!(shape[1], map.len());
        let positions = (length + 2 * block.padding - taps) / block.stride + 1;
        (0..shape[0])
            .map(|filter| {
                let norm = self.norm(name, filter);
                let convolved: Vec<f64> = (0..positions)
                    .map(|position| {
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
                        norm(sum).max(0.0)
                    })
                    .collect();
                convolved
                    .chunks_exact(block.pool)
                    .map(|window| window.iter().copied().fold(f64::NEG_INFINITY, f64::max))
                    .collect()
            })
            .collect()
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
