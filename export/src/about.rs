//! What a checkpoint does not know of its model, for the descriptions beside a file.

/// Who made a model, when, under which licence. What is empty is left out of a description, or stays empty there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Who made it.
    pub author: String,
    /// Where the author is reached.
    pub email: String,
    /// A page about it.
    pub link: String,
    /// When it was published, YYYY-MM-DD.
    pub date: String,
    /// How to cite it.
    pub citation: String,
    /// Licence of the weights, as the Hub spells it: `cc-by-sa-4.0`.
    pub license: String,
    /// Data sets on the Hub that it was trained on: `NAME` or `OWNER/NAME`.
    pub datasets: Vec<String>,
}
