//! Every property of an accepted network can be computed.
#![no_main]

use leitmotif_models::Network;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(network) = Network::from_toml(text) else { return };
    let _ = (network.params(222), network.costs(222), network.clip_samples(), network.segments_in(465_984));
});
