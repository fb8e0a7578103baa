//! ONNX Runtime's assignment of nodes to execution providers, which `ort` does not wrap.

use std::ffi::{CStr, c_char};
use std::ptr;

use ort::AsPointer;

use super::loader::one_line;
use super::placement::Placement;

/// The nodes of a session of [`Runtime::load`](super::loader::Runtime::load), which has ONNX Runtime remember them.
///
/// # Errors
///
/// ONNX Runtime's reason where it does not say.
pub(super) fn assignment(session: &ort::session::Session) -> Result<Placement, String> {
    let api = ort::api();
    let mut placement = Placement::default();
    // SAFETY: the session is alive, its pointer is ONNX Runtime's, and these functions only read from it.
    #[expect(unsafe_code, reason = "functions of ONNX Runtime's C interface")]
    let subgraphs = unsafe {
        read(|list, count| (api.Session_GetEpGraphAssignmentInfo)(session.ptr(), list, count))?
    };
    for subgraph in subgraphs {
        // SAFETY: what is read belongs to the session, which outlives this function, and is a list or a text of C.
        #[expect(unsafe_code, reason = "functions of ONNX Runtime's C interface")]
        let (provider, nodes) = unsafe {
            let nodes =
                read(|list, count| (api.EpAssignedSubgraph_GetNodes)(*subgraph, list, count))?;
            (text(|out| (api.EpAssignedSubgraph_GetEpName)(*subgraph, out))?, nodes)
        };
        let operators = placement.providers.entry(provider).or_default();
        for node in nodes {
            // SAFETY: as above.
            #[expect(unsafe_code, reason = "functions of ONNX Runtime's C interface")]
            let operator = unsafe { text(|out| (api.EpAssignedNode_GetOperatorType)(*node, out))? };
            *operators.entry(operator).or_default() += 1;
        }
    }
    match placement.providers.is_empty() {
        false => Ok(placement),
        true => Err("it names no node".to_owned()),
    }
}

/// A list that ONNX Runtime gives out.
///
/// # Safety
///
/// `get` must set both to a list that lives for `'a`, or fail.
#[expect(unsafe_code, reason = "functions of ONNX Runtime's C interface")]
unsafe fn read<'a, T>(
    get: impl FnOnce(*mut *const *const T, *mut usize) -> ort::sys::OrtStatusPtr,
) -> Result<&'a [*const T], String> {
    let (mut list, mut count) = (ptr::null(), 0);
    let status = get(&raw mut list, &raw mut count);
    // SAFETY: the status is ONNX Runtime's and is given back here alone; the list is the caller's promise.
    unsafe {
        check(status)?;
        Ok(if list.is_null() { &[] } else { std::slice::from_raw_parts(list, count) })
    }
}

/// A text that ONNX Runtime gives out.
///
/// # Safety
///
/// `get` must set it to a text that ends with zero, or fail.
#[expect(unsafe_code, reason = "functions of ONNX Runtime's C interface")]
unsafe fn text(
    get: impl FnOnce(*mut *const c_char) -> ort::sys::OrtStatusPtr,
) -> Result<String, String> {
    let mut text = ptr::null();
    let status = get(&raw mut text);
    // SAFETY: as above.
    unsafe {
        check(status)?;
        if text.is_null() {
            return Err("it gives no name".to_owned());
        }
        Ok(CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}

/// # Safety
///
/// The status must be ONNX Runtime's and not be used any more.
#[expect(unsafe_code, reason = "functions of ONNX Runtime's C interface")]
unsafe fn check(status: ort::sys::OrtStatusPtr) -> Result<(), String> {
    // SAFETY: the caller's promise.
    unsafe { ort::Error::result_from_status(status) }.map_err(|error| one_line(&error))
}
