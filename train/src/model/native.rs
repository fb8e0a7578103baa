//! What CUDA can do beyond tch's bindings: one operator for batch norm, ReLU and max pooling, and CUDA graphs.
//!
//! `libleitmotif_cuda.so` (`native/`) is opened after libtorch's CUDA library, on whose symbols it stands; `build.rs`
//! builds it where CUDA's headers are found. Its kernels are compiled for the GPU at their first use, which takes half
//! a second for each number of channels.

use std::ffi::{CStr, c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::Tensor;

use crate::model::cuda::{self, CudaLibrary};

const FILE: &str = "libleitmotif_cuda.so";

/// Why the fused operator or a CUDA graph cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NativeError {
    /// The library is not there or cannot be opened: libtorch's own operators still work.
    #[error("{FILE} cannot be used: {reason}")]
    Unavailable {
        /// What is missing.
        reason: String,
    },
    /// libtorch or CUDA reports an error.
    #[error("CUDA: {message}")]
    Failed {
        /// Its message.
        message: String,
    },
}

/// A batch norm's tensors, each f32 with a value for each channel, and its settings.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// The scale.
    pub gamma: &'a Tensor,
    /// The shift.
    pub beta: &'a Tensor,
    /// Updated in place.
    pub running_mean: &'a Tensor,
    /// Updated in place.
    pub running_var: &'a Tensor,
    /// The new value's share of the running statistics (torch's sense).
    pub momentum: f64,
    /// Added to the variance.
    pub epsilon: f64,
}

/// Work on the GPU that was recorded once and is repeated as a whole, at the same addresses.
#[derive(Debug)]
pub struct Graph {
    recorded: *mut c_void,
}

/// Whether the library can be used on this machine.
///
/// # Errors
///
/// The library, or libtorch's CUDA library, is missing.
pub fn available() -> Result<(), NativeError> {
    functions().map(|_| ())
}

/// Max pooling of `pool` samples, after ReLU, after batch norm with the batch's statistics.
///
/// # Shapes
/// f32 or bf16 `[batch, channels, segments, samples]` on a GPU, best channels-last → the same kind, channels-last,
/// `[batch, channels, segments, samples / pool]`. What is left of `samples` counts in the statistics.
///
/// # Errors
///
/// The library is missing; tensors of other shapes, kinds or devices.
pub fn norm_relu_pool(x: &Tensor, norm: Norm<'_>, pool: i64) -> Result<Tensor, NativeError> {
    functions()?.norm_relu_pool(x, norm, pool)
}

/// A copy of a host's tensor on the GPU of this number, made without waiting for the GPU's other work.
///
/// # Errors
///
/// The library is missing; no memory.
pub fn upload(host: &Tensor, gpu: usize) -> Result<Tensor, NativeError> {
    functions()?.upload(host, gpu)
}

/// Waits for all work of the present GPU.
///
/// # Errors
///
/// The library is missing; an error of earlier work.
pub fn synchronize() -> Result<(), NativeError> {
    let functions = functions()?;
    functions.call(|library| library.synchronize)
}

/// Does work on the stream that captures use: what a capture wants to find ready must have run there before.
///
/// # Errors
///
/// The library is missing; those of the work.
pub fn on_side_stream<T, E: From<NativeError>>(
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let side = SideStream::enter()?;
    let done = work()?;
    side.leave()?;
    Ok(done)
}

impl Graph {
    /// Records the work that a closure gives to the GPU, without doing it, and keeps what it returns: tensors that
    /// every replay fills.
    ///
    /// The same work must have run [`on_side_stream`] before: kernels are compiled and libraries set up at their first
    /// use. It must not wait for the GPU, e.g. by reading a value.
    ///
    /// # Errors
    ///
    /// The library is missing; those of the work; work that cannot be recorded.
    pub fn capture<T, E: From<NativeError>>(
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        let side = SideStream::enter()?;
        let recording = Recording::begin()?;
        let done = work()?;
        let graph = recording.end()?;
        side.leave()?;
        Ok((graph, done))
    }

    /// Does the recorded work.
    ///
    /// # Errors
    ///
    /// CUDA refuses.
    pub fn replay(&self) -> Result<(), NativeError> {
        functions()?.with_graph(|library| library.graph_replay, self.recorded)
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if let Ok(functions) = functions() {
            // A drop returns no error, and after an error of CUDA the process is ending anyway.
            let _ = functions.with_graph(|library| library.graph_free, self.recorded);
        }
    }
}

/// As long as it lives, this thread's stream is the side stream.
struct SideStream {
    before: [i64; 3],
    left: bool,
}

impl SideStream {
    fn enter() -> Result<Self, NativeError> {
        Ok(SideStream { before: functions()?.enter_side_stream()?, left: false })
    }

    fn leave(mut self) -> Result<(), NativeError> {
        self.left = true;
        functions()?.leave_side_stream(&self.before)
    }
}

impl Drop for SideStream {
    fn drop(&mut self) {
        if !self.left
            && let Ok(functions) = functions()
        {
            // The error that led here is the one to return.
            let _ = functions.leave_side_stream(&self.before);
        }
    }
}

/// A capture that ends even if its work fails.
struct Recording {
    graph: Option<Graph>,
}

impl Recording {
    fn begin() -> Result<Self, NativeError> {
        let recorded = functions()?.graph_begin()?;
        Ok(Recording { graph: Some(Graph { recorded }) })
    }

    fn end(mut self) -> Result<Graph, NativeError> {
        let graph = self.graph.take().ok_or_else(|| NativeError::Failed {
            message: "the capture has ended already".to_owned(),
        })?;
        functions()?.with_graph(|library| library.graph_end, graph.recorded)?;
        Ok(graph)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let (Some(graph), Ok(functions)) = (&self.graph, functions()) {
            // The error that led here is the one to return.
            let _ = functions.with_graph(|library| library.graph_end, graph.recorded);
        }
    }
}

/// Null, or an error's text that is valid until this thread's next call.
type Outcome = *const c_char;
type TensorPointer = *const c_void;
type Plain = unsafe extern "C" fn() -> Outcome;
type OnGraph = unsafe extern "C" fn(*mut c_void) -> Outcome;

/// The library's functions, as `native/native.cpp` declares them.
struct Functions {
    norm_relu_pool: unsafe extern "C" fn(
        TensorPointer,
        TensorPointer,
        TensorPointer,
        TensorPointer,
        TensorPointer,
        f64,
        f64,
        i64,
        *mut *mut c_void,
    ) -> Outcome,
    upload: unsafe extern "C" fn(TensorPointer, i64, *mut *mut c_void) -> Outcome,
    enter_side_stream: unsafe extern "C" fn(*mut [i64; 3]) -> Outcome,
    leave_side_stream: unsafe extern "C" fn(*const [i64; 3]) -> Outcome,
    graph_begin: unsafe extern "C" fn(*mut *mut c_void) -> Outcome,
    graph_end: OnGraph,
    graph_replay: OnGraph,
    graph_free: OnGraph,
    synchronize: Plain,
}

impl Functions {
    #[expect(
        unsafe_code,
        reason = "the pointers are those of live tensors, and the result is a new tensor that belongs to the caller"
    )]
    fn norm_relu_pool(&self, x: &Tensor, norm: Norm<'_>, pool: i64) -> Result<Tensor, NativeError> {
        let mut y = ptr::null_mut();
        let outcome = unsafe {
            (self.norm_relu_pool)(
                x.as_ptr().cast(),
                norm.gamma.as_ptr().cast(),
                norm.beta.as_ptr().cast(),
                norm.running_mean.as_ptr().cast(),
                norm.running_var.as_ptr().cast(),
                norm.momentum,
                norm.epsilon,
                pool,
                &raw mut y,
            )
        };
        result(outcome)?;
        Ok(unsafe { Tensor::from_ptr(y.cast()) })
    }

    #[expect(
        unsafe_code,
        reason = "the pointer is that of a live tensor, and the result is a new tensor that belongs to the caller"
    )]
    fn upload(&self, host: &Tensor, gpu: usize) -> Result<Tensor, NativeError> {
        let mut copy = ptr::null_mut();
        let gpu = i64::try_from(gpu).unwrap_or(i64::MAX);
        result(unsafe { (self.upload)(host.as_ptr().cast(), gpu, &raw mut copy) })?;
        Ok(unsafe { Tensor::from_ptr(copy.cast()) })
    }

    #[expect(unsafe_code, reason = "the library writes three numbers")]
    fn enter_side_stream(&self) -> Result<[i64; 3], NativeError> {
        let mut before = [0; 3];
        result(unsafe { (self.enter_side_stream)(&raw mut before) })?;
        Ok(before)
    }

    #[expect(unsafe_code, reason = "the library reads three numbers")]
    fn leave_side_stream(&self, before: &[i64; 3]) -> Result<(), NativeError> {
        result(unsafe { (self.leave_side_stream)(before) })
    }

    #[expect(unsafe_code, reason = "the library writes a pointer, which the caller frees")]
    fn graph_begin(&self) -> Result<*mut c_void, NativeError> {
        let mut recorded = ptr::null_mut();
        result(unsafe { (self.graph_begin)(&raw mut recorded) })?;
        Ok(recorded)
    }

    #[expect(unsafe_code, reason = "the pointer is that of a graph which only `Graph` frees, once")]
    fn with_graph(
        &self,
        function: impl Fn(&Self) -> OnGraph,
        recorded: *mut c_void,
    ) -> Result<(), NativeError> {
        result(unsafe { function(self)(recorded) })
    }

    #[expect(unsafe_code, reason = "a function without arguments")]
    fn call(&self, function: impl Fn(&Self) -> Plain) -> Result<(), NativeError> {
        result(unsafe { function(self)() })
    }
}

#[expect(unsafe_code, reason = "an error's text is valid until this thread calls again")]
fn result(outcome: Outcome) -> Result<(), NativeError> {
    if outcome.is_null() {
        return Ok(());
    }
    let message = unsafe { CStr::from_ptr(outcome) }.to_string_lossy().into_owned();
    Err(NativeError::Failed { message })
}

fn functions() -> Result<&'static Functions, NativeError> {
    static OPENED: OnceLock<Result<Functions, NativeError>> = OnceLock::new();
    OPENED.get_or_init(open).as_ref().map_err(Clone::clone)
}

/// Beside the program, beside the folder of a test, and where it was built.
fn places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Ok(program) = std::env::current_exe() {
        places.extend(program.ancestors().skip(1).take(2).map(|folder| folder.join(FILE)));
    }
    places.extend(option_env!("LEITMOTIF_NATIVE").map(PathBuf::from));
    places
}

fn open() -> Result<Functions, NativeError> {
    let unavailable = |reason: String| NativeError::Unavailable { reason };
    if let CudaLibrary::Unavailable { reason } = cuda::load() {
        return Err(unavailable(format!(
            "libtorch's CUDA library, which it needs, is not loaded: {reason}"
        )));
    }
    let Some(place) = places().into_iter().find(|place| place.exists()) else {
        return Err(unavailable(if option_env!("LEITMOTIF_NATIVE").is_some() {
            "it is neither beside the program nor where it was built".to_owned()
        } else {
            "this program was built without CUDA's headers, so without it".to_owned()
        }));
    };
    let loaded = load(&place).map_err(|error| unavailable(error.to_string()))?;
    loaded.ok_or_else(|| unavailable(format!("{} is of another version", place.display())))
}

#[expect(
    unsafe_code,
    reason = "opening a library runs its initialisers, and its functions must have these types: both are this crate's own"
)]
fn load(place: &Path) -> Result<Option<Functions>, libloading::Error> {
    // NOW, so that a library of another libtorch fails here and not in the middle of a run.
    let library = unsafe { Library::open(Some(place), RTLD_NOW | RTLD_GLOBAL) }?;
    let version = unsafe { library.get::<unsafe extern "C" fn() -> i64>(b"leitmotif_version")?() };
    if option_env!("LEITMOTIF_NATIVE_VERSION") != Some(version.to_string().as_str()) {
        return Ok(None);
    }
    let functions = unsafe {
        Functions {
            norm_relu_pool: *library.get(b"leitmotif_norm_relu_pool")?,
            upload: *library.get(b"leitmotif_upload")?,
            enter_side_stream: *library.get(b"leitmotif_enter_side_stream")?,
            leave_side_stream: *library.get(b"leitmotif_leave_side_stream")?,
            graph_begin: *library.get(b"leitmotif_graph_begin")?,
            graph_end: *library.get(b"leitmotif_graph_end")?,
            graph_replay: *library.get(b"leitmotif_graph_replay")?,
            graph_free: *library.get(b"leitmotif_graph_free")?,
            synchronize: *library.get(b"leitmotif_synchronize")?,
        }
    };
    // libtorch keeps pointers into it until the process ends.
    std::mem::forget(library);
    Ok(Some(functions))
}
