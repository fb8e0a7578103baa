//! How far the running statistics of batch norm lag behind the weights.

use leitmotif_models::BatchNorm;

use crate::learn::config::FitConfig;

/// Share of their first values that is still in statistics which are taken to follow the weights.
const LEFT: f64 = 0.05;

/// A warning for a new run whose epochs of so many batches are shorter than the running statistics of batch norm need:
/// evaluation takes these, training those of the batch, so that the first epochs look as if nothing were learnt.
pub fn warning(config: &FitConfig, batches: usize) -> Option<String> {
    let kept = config.norm_momentum.unwrap_or(BatchNorm::MOMENTUM);
    let needed = batches_needed(f64::from(kept))?;
    let batches = batches.max(1);
    let epochs = needed.div_ceil(batches);
    (epochs > 1).then(|| {
        format!(
            "warning: of the running statistics of batch norm {kept} is kept with each batch, so that they follow the \
             weights after {needed}; an epoch has {batches}, and scores before epoch {epochs} are too low. \
             --norm-momentum {:.2} follows within an epoch",
            momentum_for(batches)
        )
    })
}

/// Batches after which no more than [`LEFT`] is left; `None` where nothing is kept.
fn batches_needed(kept: f64) -> Option<usize> {
    // The momentum is an f32, the least above its decimal.
    (kept > 0.0 && kept < 1.0).then(|| (LEFT.ln() / kept.ln() - 1e-5).ceil() as usize)
}

/// The largest momentum of two digits for which so many batches suffice.
fn momentum_for(batches: usize) -> f64 {
    (100.0 * LEFT.powf(1.0 / batches as f64)).floor() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_that_is_too_short_is_named_with_a_momentum_that_fits() {
        // 0.99^299 is the first power below 0.05.
        let keras = FitConfig::default();
        assert_eq!((batches_needed(0.99), warning(&keras, 299)), (Some(299), None));
        let text = warning(&keras, 14).unwrap();
        assert!(text.contains("an epoch has 14") && text.contains("before epoch 22"), "{text}");
        assert!(text.contains("--norm-momentum 0.80"), "{text}");
        let advised = FitConfig { norm_momentum: Some(0.8), ..FitConfig::default() };
        assert_eq!(warning(&advised, 14), None);
    }

    #[test]
    fn statistics_that_keep_nothing_never_lag() {
        let config = FitConfig { norm_momentum: Some(0.0), ..FitConfig::default() };
        assert_eq!(warning(&config, 1), None);
    }

    #[test]
    fn the_advice_suffices_for_every_number_of_batches() {
        for batches in 1..400 {
            let norm_momentum = Some(momentum_for(batches) as f32);
            let config = FitConfig { norm_momentum, ..FitConfig::default() };
            assert_eq!(warning(&config, batches), None, "{batches}");
        }
    }
}
