//! Training and evaluation.
//!
//! A [`task::Task`] is what to train on: a data set, its classes and the parts of a split. A [`config::FitConfig`]
//! holds the settings of a run, [`settings`] writes them as a file. [`start`] makes a [`start::RunState`] from initial
//! values, pretrained blocks or the last checkpoint, and [`fit::fit`] trains it: [`batches`] chooses and cuts the input,
//! with [`auxiliary`] music if there is any, changed by [`augment`], [`feed`] brings it to the device, [`schedule`] sets
//! the learning rate, and [`step::train_step`] takes one step with [`adam`]. After each epoch [`evaluate::evaluate`]
//! computes predictions and the validation loss, [`history`] adds a line and chooses the best epoch, [`probe`] makes a
//! [`checkpoint::Checkpoint`], of the weights' [`average`] if there is one, which `saving` writes, now and then within an
//! epoch, too, and [`progress`] sends the [`events`] to observers, such as the [`bar`]; [`lag`] warns of epochs too
//! short for batch norm. [`dry_run`] measures what a run will cost. At the end [`confidence`] fits temperature and
//! threshold. [`together`] is what several ranks exchange beside the sums of a step, which are in `reduce`.

pub mod adam;
pub mod augment;
pub mod auxiliary;
pub mod average;
pub mod bar;
pub mod batches;
pub mod checkpoint;
pub mod clips;
pub mod confidence;
pub mod config;
pub mod dry_run;
pub mod evaluate;
pub mod events;
pub mod feed;
pub(crate) mod filters;
pub mod fit;
pub mod history;
pub mod lag;
pub mod probe;
pub mod progress;
pub(crate) mod reduce;
pub(crate) mod repeated;
pub(crate) mod results;
pub(crate) mod saving;
pub mod schedule;
pub(crate) mod selection;
pub mod settings;
pub mod start;
pub mod step;
pub mod task;
pub mod together;
