//! The networks that come with the crate, one readable file each under `presets/`.

use crate::{Network, NetworkError};

const PRESETS: [(&str, &str); 8] = [
    ("model1", include_str!("../presets/model1.toml")),
    ("model2", include_str!("../presets/model2.toml")),
    ("model3", include_str!("../presets/model3.toml")),
    ("model4", include_str!("../presets/model4.toml")),
    ("example", include_str!("../presets/example.toml")),
    ("demo", include_str!("../presets/demo.toml")),
    ("compact", include_str!("../presets/compact.toml")),
    ("spectral", include_str!("../presets/spectral.toml")),
];

impl Network {
    /// A network that comes with the crate; its head is the one in the file, see [`Network::with_head`].
    ///
    /// # Errors
    /// `UnknownPreset`, naming those there are.
    pub fn preset(name: &str) -> Result<Self, NetworkError> {
        match PRESETS.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Network::from_toml(text),
            None => Err(NetworkError::UnknownPreset {
                name: name.to_owned(),
                known: Network::preset_names().collect(),
            }),
        }
    }

    /// Names that [`Network::preset`] knows.
    pub fn preset_names() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|(name, _)| *name)
    }
}
