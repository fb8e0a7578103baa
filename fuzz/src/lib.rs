//! What the targets share.

/// Ends the process at panics of our own code, and lets those inside of `crates` pass, which our code promises to catch.
///
/// libFuzzer's own hook would end it at every panic.
pub fn own_panics_only(crates: &'static [&'static str]) {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let file = panic.location().map_or("", |place| place.file());
        if !crates.iter().any(|name| file.contains(name)) {
            default(panic);
            std::process::abort();
        }
    }));
}
