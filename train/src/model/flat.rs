//! The trainable tensors of a network in one buffer, so that the optimizer treats them as one.

use tch::{Device, Kind, Tensor};

use crate::error::TrainError;

/// Values from one tensor to the next are multiples of this: cuDNN reads 16 bytes at once, a cache line has 128.
const ALIGNMENT: i64 = 32;

/// Tensors whose values lie in one buffer.
#[derive(Debug)]
pub struct FlatBuffer {
    values: Tensor,
    /// In the order in which they were taken in.
    places: Vec<Place>,
    /// Indices into `places` by position, with the padding before each; the last is that of the end.
    order: Vec<(usize, i64)>,
    end_padding: i64,
}

#[derive(Clone, Debug)]
struct Place {
    name: String,
    shape: Vec<i64>,
    start: i64,
}

impl Place {
    fn count(&self) -> i64 {
        self.shape.iter().product()
    }
}

impl FlatBuffer {
    /// Moves the values of `params` into one new buffer; each stays the tensor that it was.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses, e.g. memory.
    pub fn take_in(params: &[(&str, Tensor)]) -> Result<Self, TrainError> {
        let device = params.first().map_or(Device::Cpu, |(_, tensor)| tensor.device());
        let (mut places, end) = place(params, device)?;
        let total = end.max(1);
        let values = Tensor::f_zeros([total], (Kind::Float, device))?;
        tch::no_grad(|| {
            for ((_, tensor), place) in params.iter().zip(&mut places) {
                let mut view = view(&values, place)?;
                view.f_copy_(tensor)?;
                // The same tensor, with other memory.
                tensor.shallow_clone().f_set_data(&view)?;
            }
            Ok::<_, TrainError>(())
        })?;
        let mut by_start: Vec<usize> = (0..places.len()).collect();
        by_start.sort_by_key(|i| places.get(*i).map_or(0, |place| place.start));
        let (mut order, mut position) = (Vec::new(), 0);
        for index in by_start {
            let Some(place) = places.get(index) else { continue };
            order.push((index, place.start - position));
            position = place.start + place.count();
        }
        Ok(FlatBuffer { values, places, order, end_padding: total - position })
    }

    /// All values, f32 `[positions]`; changing them changes the tensors.
    pub fn values(&self) -> Tensor {
        self.values.shallow_clone()
    }

    /// Zeros in the form of the buffer.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses, e.g. memory.
    pub fn zeros(&self) -> Result<Tensor, TrainError> {
        Ok(self.values.f_zeros_like()?)
    }

    /// One at the values of tensors whose shape fulfils `condition`, else zero.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses, e.g. memory.
    pub fn mask(&self, condition: impl Fn(&[i64]) -> bool) -> Result<Tensor, TrainError> {
        let mask = self.zeros()?;
        for place in self.places.iter().filter(|place| condition(&place.shape)) {
            let _ = mask.f_narrow(0, place.start, place.count())?.f_fill_(1.0)?;
        }
        Ok(mask)
    }

    /// Tensors in the order and shapes of [`take_in`](Self::take_in), e.g. gradients, in the form of the buffer.
    ///
    /// # Errors
    ///
    /// Tensors of other shapes.
    pub fn gather(&self, tensors: &[Tensor]) -> Result<Tensor, TrainError> {
        let options = (Kind::Float, self.values.device());
        let mut parts = Vec::with_capacity(2 * tensors.len() + 1);
        for (index, padding) in &self.order {
            if *padding > 0 {
                parts.push(Tensor::f_zeros([*padding], options)?);
            }
            if let Some(tensor) = tensors.get(*index) {
                parts.push(in_memory_order(tensor)?);
            }
        }
        if self.end_padding > 0 {
            parts.push(Tensor::f_zeros([self.end_padding], options)?);
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }

    /// Each tensor's name and its part of a buffer of this form.
    ///
    /// # Errors
    ///
    /// A buffer of another form.
    pub fn views_of(&self, buffer: &Tensor) -> Result<Vec<(&str, Tensor)>, TrainError> {
        let views = self.places.iter().map(|p| Ok((p.name.as_str(), view(buffer, p)?)));
        views.collect()
    }
}

/// A place for each tensor, and where they end.
fn place(params: &[(&str, Tensor)], device: Device) -> Result<(Vec<Place>, i64), TrainError> {
    let (lstm, mut end) = lstm_places(params, device)?;
    let mut places = Vec::with_capacity(params.len());
    for (name, tensor) in params {
        let known = lstm.iter().find(|(of, _)| of == name);
        let start = known.map_or(end, |(_, start)| *start);
        let place = Place { name: (*name).to_owned(), shape: tensor.size(), start };
        if known.is_none() {
            end = aligned(end + place.count());
        }
        places.push(place);
    }
    Ok((places, end))
}

fn aligned(position: i64) -> i64 {
    (position + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT
}

/// Where cuDNN wants the weights of an LSTM: from the start of the memory on, in its own order. Elsewhere it would copy
/// them in every forward pass, and libtorch would warn each time.
fn lstm_places(
    params: &[(&str, Tensor)],
    device: Device,
) -> Result<(Vec<(String, i64)>, i64), TrainError> {
    let named = |end: &str| params.iter().find(|(name, _)| name.ends_with(end));
    let names = [".weight_ih", ".weight_hh", ".bias_ih", ".bias_hh"].map(named);
    let [Some(ih), Some(hh), Some(bias_ih), Some(bias_hh)] = names else {
        return Ok((Vec::new(), 0));
    };
    if device == Device::Cpu {
        return Ok((Vec::new(), 0));
    }
    let weights = [ih, hh, bias_ih, bias_hh];
    // Only their layout matters.
    let alike =
        weights.iter().map(|(_, w)| w.f_detach()?.f_zeros_like()).collect::<Result<Vec<_>, _>>()?;
    let buffer = flatten_lstm(&alike)?;
    let start = buffer.data_ptr() as i64;
    let size = i64::try_from(size_of::<f32>()).unwrap_or(4);
    let places = weights
        .iter()
        .zip(&alike)
        .map(|((name, _), weight)| ((*name).to_owned(), (weight.data_ptr() as i64 - start) / size));
    Ok((places.collect(), aligned(i64::try_from(buffer.numel()).unwrap_or(0))))
}

/// Moves the weights of an LSTM on CUDA, in the order of libtorch, into the memory layout of cuDNN; returns the memory.
///
/// # Errors
///
/// Whatever libtorch refuses.
pub fn flatten_lstm(weights: &[Tensor]) -> Result<Tensor, TrainError> {
    /// An LSTM, among cuDNN's kinds of recurrent layers.
    const LSTM: i64 = 2;
    let sizes: Vec<i64> = weights.first().map(Tensor::size).unwrap_or_default();
    let (gates, inputs) = (sizes.first().copied().unwrap_or(0), sizes.get(1).copied().unwrap_or(0));
    let per_layer = i64::try_from(weights.len()).unwrap_or(0);
    Ok(tch::no_grad(|| {
        Tensor::f_internal_cudnn_rnn_flatten_weight(
            weights,
            per_layer,
            inputs,
            LSTM,
            gates / 4,
            0,
            1,
            true,
            false,
        )
    })?)
}

/// The part of `buffer` at `place`: a convolution's weights lie channels last.
fn view(buffer: &Tensor, place: &Place) -> Result<Tensor, TrainError> {
    let part = buffer.f_narrow(0, place.start, place.count())?;
    match place.shape.as_slice() {
        [filters, inputs, height, width] => {
            Ok(part.f_view([*filters, *height, *width, *inputs])?.f_permute([0, 3, 1, 2])?)
        }
        shape => Ok(part.f_view(shape)?),
    }
}

/// A tensor's values in the order of [`view`].
fn in_memory_order(tensor: &Tensor) -> Result<Tensor, TrainError> {
    let ordered = match tensor.dim() {
        4 => tensor.f_permute([0, 2, 3, 1])?,
        _ => tensor.shallow_clone(),
    };
    Ok(ordered.f_reshape([-1])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_keep_their_values_and_follow_the_buffer() {
        let conv = Tensor::arange(12, (Kind::Float, Device::Cpu)).reshape([2, 2, 1, 3]);
        let bias = Tensor::from_slice(&[5.0f32, 6.0, 7.0]);
        let params = [("conv", conv.shallow_clone()), ("bias", bias.shallow_clone())];
        let before = conv.copy();
        let flat = FlatBuffer::take_in(&params).unwrap();
        assert_eq!(conv, before);
        let gathered = flat.gather(&[conv.copy(), bias.copy()]).unwrap();
        assert_eq!(gathered, flat.values());
        let _ = flat.values().f_mul_scalar_(2.0).unwrap();
        assert_eq!(conv, before * 2.0);
        assert_eq!(Vec::<f32>::try_from(&bias).unwrap(), [10.0, 12.0, 14.0]);
        let mask = flat.mask(|shape| shape.len() > 1).unwrap();
        assert_eq!(f64::try_from(mask.sum(Kind::Float)).unwrap(), 12.0);
        let views = flat.views_of(&flat.values()).unwrap();
        assert_eq!((views[0].0, views[0].1.size()), ("conv", vec![2, 2, 1, 3]));
        assert_eq!(views[0].1, conv);
    }
}
