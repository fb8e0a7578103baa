//! Shared by the targets.

/// Aborts at panics of our own code. Panics inside of `crates` may pass: our code must catch them.
///
/// libFuzzer's own hook would abort at every panic.
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
