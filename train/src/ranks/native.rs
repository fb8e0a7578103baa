//! c10d's store and group, as `native/collective.cpp` declares them.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::time::Duration;

use tch::Tensor;

/// Null, or an error's text that is valid until this thread's next call.
type Outcome = *const c_char;

#[expect(
    unsafe_code,
    reason = "the functions of native/collective.cpp, which build.rs compiles into the program"
)]
unsafe extern "C" {
    fn leitmotif_store_open(
        host: *const c_char,
        port: i64,
        serves: bool,
        milliseconds: i64,
        store: *mut *mut c_void,
        bound: *mut i64,
    ) -> Outcome;
    fn leitmotif_store_set(
        store: *mut c_void,
        key: *const c_char,
        value: *const u8,
        size: i64,
    ) -> Outcome;
    fn leitmotif_store_get(
        store: *mut c_void,
        key: *const c_char,
        there: *mut bool,
        value: *mut *const u8,
        size: *mut i64,
    ) -> Outcome;
    fn leitmotif_store_add(
        store: *mut c_void,
        key: *const c_char,
        value: i64,
        sum: *mut i64,
    ) -> Outcome;
    fn leitmotif_store_free(store: *mut c_void);
    fn leitmotif_group_open(
        store: *mut c_void,
        prefix: *const c_char,
        rank: i64,
        size: i64,
        host: *const c_char,
        names_interface: bool,
        milliseconds: i64,
        group: *mut *mut c_void,
    ) -> Outcome;
    fn leitmotif_group_sum(group: *mut c_void, values: *const c_void) -> Outcome;
    fn leitmotif_group_broadcast(group: *mut c_void, values: *const c_void, root: i64) -> Outcome;
    fn leitmotif_group_free(group: *mut c_void);
}

/// A store of keys and values in one of several processes, or a connection to it.
#[derive(Debug)]
pub(crate) struct Store(*mut c_void);

#[expect(
    unsafe_code,
    reason = "c10d::TCPStore locks each of its calls; it is freed once, when nobody holds it"
)]
unsafe impl Send for Store {}
#[expect(unsafe_code, reason = "as for Send")]
unsafe impl Sync for Store {}

/// Processes that sum up tensors.
#[derive(Debug)]
pub(crate) struct Group(*mut c_void);

/// By what the other processes reach this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    /// An address of this machine.
    Address(String),
    /// A network interface of it.
    Interface(String),
}

impl Store {
    /// Opens the store at `host` and `port`, which this process holds if it `serves`; then port 0 takes a free one. Returns
    /// the port.
    #[expect(unsafe_code, reason = "it reads a text and writes a pointer and a number")]
    pub(crate) fn open(
        host: &str,
        port: u16,
        serves: bool,
        timeout: Duration,
    ) -> Result<(Self, u16), String> {
        let (host, mut store, mut bound) = (text(host)?, ptr::null_mut(), 0);
        let (asked, milliseconds) = (i64::from(port), milliseconds(timeout));
        result(unsafe {
            let (store, bound) = (&raw mut store, &raw mut bound);
            leitmotif_store_open(host.as_ptr(), asked, serves, milliseconds, store, bound)
        })?;
        Ok((Store(store), u16::try_from(bound).unwrap_or(port)))
    }

    #[expect(unsafe_code, reason = "it reads a text and so many bytes")]
    pub(crate) fn set(&self, key: &str, value: &str) -> Result<(), String> {
        let key = text(key)?;
        let size = i64::try_from(value.len()).unwrap_or(0);
        result(unsafe { leitmotif_store_set(self.0, key.as_ptr(), value.as_ptr(), size) })
    }

    /// The value of a key, if it has been set.
    #[expect(
        unsafe_code,
        reason = "it reads a text and writes where so many bytes are, until this thread's next call"
    )]
    pub(crate) fn get(&self, key: &str) -> Result<Option<String>, String> {
        let (key, mut there, mut value, mut size) = (text(key)?, false, ptr::null(), 0);
        result(unsafe {
            let (there, value, size) = (&raw mut there, &raw mut value, &raw mut size);
            leitmotif_store_get(self.0, key.as_ptr(), there, value, size)
        })?;
        let size = usize::try_from(size).unwrap_or(0);
        if !there || size == 0 {
            return Ok(there.then(String::new));
        }
        let bytes = unsafe { std::slice::from_raw_parts(value, size) };
        Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
    }

    /// Adds to the number of a key, which begins with zero, and returns it.
    #[expect(unsafe_code, reason = "it reads a text and writes a number")]
    pub(crate) fn add(&self, key: &str, value: i64) -> Result<i64, String> {
        let (key, mut sum) = (text(key)?, 0);
        result(unsafe { leitmotif_store_add(self.0, key.as_ptr(), value, &raw mut sum) })?;
        Ok(sum)
    }
}

impl Drop for Store {
    #[expect(unsafe_code, reason = "the pointer is this value's own, and is freed once")]
    fn drop(&mut self) {
        unsafe { leitmotif_store_free(self.0) }
    }
}

impl Group {
    /// Connects with the other processes, which do the same.
    #[expect(
        unsafe_code,
        reason = "it reads texts and writes a pointer, and keeps the store alive itself"
    )]
    pub(crate) fn open(
        store: &Store,
        prefix: &str,
        (rank, size): (usize, usize),
        device: &Device,
        timeout: Duration,
    ) -> Result<Self, String> {
        let (host, names_interface) = match device {
            Device::Address(address) => (text(address)?, false),
            Device::Interface(name) => (text(name)?, true),
        };
        let (prefix, mut group) = (text(prefix)?, ptr::null_mut());
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        result(unsafe {
            leitmotif_group_open(
                store.0,
                prefix.as_ptr(),
                number(rank),
                number(size),
                host.as_ptr(),
                names_interface,
                milliseconds(timeout),
                &raw mut group,
            )
        })?;
        Ok(Group(group))
    }

    /// Sums up the tensors of all processes, in place.
    #[expect(unsafe_code, reason = "the pointer is that of a live tensor")]
    pub(crate) fn sum(&self, values: &Tensor) -> Result<(), String> {
        result(unsafe { leitmotif_group_sum(self.0, values.as_ptr().cast()) })
    }

    /// Overwrites the tensors of all processes by that of the first.
    #[expect(unsafe_code, reason = "the pointer is that of a live tensor")]
    pub(crate) fn broadcast(&self, values: &Tensor) -> Result<(), String> {
        result(unsafe { leitmotif_group_broadcast(self.0, values.as_ptr().cast(), 0) })
    }
}

impl Drop for Group {
    #[expect(unsafe_code, reason = "the pointer is this value's own, and is freed once")]
    fn drop(&mut self) {
        unsafe { leitmotif_group_free(self.0) }
    }
}

#[expect(unsafe_code, reason = "an error's text is valid until this thread calls again")]
fn result(outcome: Outcome) -> Result<(), String> {
    if outcome.is_null() {
        return Ok(());
    }
    let message = unsafe { CStr::from_ptr(outcome) }.to_string_lossy();
    // libtorch appends where it was thrown, and a back trace.
    let line = message.lines().next().unwrap_or_default();
    let line = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .map_or(line, |(_, rest)| rest);
    Err(line.to_owned())
}

fn text(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| "a text has a zero byte".to_owned())
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
