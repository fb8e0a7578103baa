//! The ranks of a training, once all are there: sums over all of them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use tch::{Kind, Tensor};

use crate::ranks::error::RanksError;
use crate::ranks::meeting::{Meeting, Statement};
use crate::ranks::native::Group;
use crate::ranks::world::{Share, World};

/// What sums up; c10d has others, of which none can be used here.
pub const BACKEND: &str = "gloo";

/// All ranks of a training; clones are the same ones.
#[derive(Clone, Debug)]
pub struct Ranks {
    meeting: Meeting,
    /// `None` once an operation has failed.
    group: Rc<RefCell<Option<Group>>>,
}

impl Ranks {
    /// Waits for all ranks, which must have been started with the same `statement`.
    ///
    /// # Errors
    ///
    /// A rank that does not come in time, ended, or was started with something else; `Interrupted` once `stop` is set.
    pub fn join(
        meeting: &Meeting,
        statement: &Statement,
        stop: &AtomicBool,
    ) -> Result<Self, RanksError> {
        meeting.compare(statement, stop)?;
        let World { rank, size, .. } = *meeting.world();
        let (device, prefix) = (meeting.device(), meeting.prefix());
        let timeout = meeting.timeout();
        let group = Group::open(meeting.store(), &prefix, (rank, size), &device, timeout)
            .map_err(|reason| meeting.search(&reason))?;
        Ok(Ranks { meeting: meeting.clone(), group: Rc::new(RefCell::new(Some(group))) })
    }

    /// This process among all.
    pub fn world(&self) -> &World {
        self.meeting.world()
    }

    /// Its part of everything.
    pub fn share(&self) -> Share {
        self.world().share()
    }

    /// Whether this is rank 0.
    pub fn is_first(&self) -> bool {
        self.world().is_first()
    }

    /// Adds up the tensors of all ranks, of one shape and kind, in place; equal to the bit on all of them.
    ///
    /// # Errors
    ///
    /// A rank that ended, no longer answers or does not come in time, which is named.
    pub fn sum(&self, values: &Tensor) -> Result<(), RanksError> {
        self.with_group(|group| group.sum(values))
    }

    /// Overwrites the tensors of all ranks by that of rank 0.
    ///
    /// # Errors
    ///
    /// As [`sum`](Self::sum).
    pub fn broadcast(&self, values: &Tensor) -> Result<(), RanksError> {
        self.with_group(|group| group.broadcast(values))
    }

    /// Whether it holds on any rank.
    ///
    /// # Errors
    ///
    /// As [`sum`](Self::sum).
    pub fn any(&self, here: bool) -> Result<bool, RanksError> {
        let count = self.tensor(&[i64::from(here)])?;
        self.sum(&count)?;
        Ok(number(&count)? > 0)
    }

    /// The text of rank 0, which gives it; the others give none.
    ///
    /// # Errors
    ///
    /// As [`sum`](Self::sum).
    pub fn text_of_first(&self, text: Option<&str>) -> Result<String, RanksError> {
        let bytes = text.unwrap_or_default().as_bytes();
        let length = self.tensor(&[i64::try_from(bytes.len()).unwrap_or(0)])?;
        self.broadcast(&length)?;
        let length = usize::try_from(number(&length)?).unwrap_or(0);
        let mut bytes = bytes.to_vec();
        bytes.resize(length, 0);
        let sent = self.tensor(&bytes)?;
        self.broadcast(&sent)?;
        sent.f_copy_data(&mut bytes, length).map_err(|error| collective(&error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn tensor<T: tch::kind::Element>(&self, values: &[T]) -> Result<Tensor, RanksError> {
        Tensor::f_from_slice(values).map_err(|error| collective(&error))
    }

    fn with_group(
        &self,
        work: impl FnOnce(&Group) -> Result<(), String>,
    ) -> Result<(), RanksError> {
        let mut group = self.group.borrow_mut();
        let Some(open) = group.as_ref() else {
            return Err(RanksError::Collective { message: "an earlier sum failed".to_owned() });
        };
        work(open).map_err(|reason| {
            // Its connections end with it, so that ranks which wait for this one fail at once, too.
            drop(group.take());
            self.meeting.search(&reason)
        })
    }
}

fn number(tensor: &Tensor) -> Result<i64, RanksError> {
    let sum = tensor.f_sum(Kind::Int64).map_err(|error| collective(&error))?;
    i64::try_from(&sum).map_err(|error| collective(&error))
}

fn collective(error: &tch::TchError) -> RanksError {
    let message = error.to_string().lines().next().unwrap_or_default().to_owned();
    RanksError::Collective { message }
}
