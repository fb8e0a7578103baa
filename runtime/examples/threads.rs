//! Many songs on all cores: `cargo run --example threads MODEL.onnx SONG…`.

use std::ops::ControlFlow;

use leitmotif::{Batch, Recognizer, SessionOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().ok_or("usage: threads MODEL.onnx SONG…")?;
    let songs: Vec<String> = arguments.collect();
    // One CPU thread a session: the songs share the cores, not the layers.
    let recognizer = Recognizer::open_with(model, &SessionOptions::default().with_threads(1))?;
    Batch::new(&recognizer).in_order().run(&songs, |_, song, answer| {
        match answer {
            Ok(answer) => println!("{}: {:?}", song.display(), answer.best()),
            Err(error) => report(&error),
        }
        ControlFlow::Continue(())
    });
    Ok(())
}

/// An error's text is the fact and what to do; its causes are in `source()`.
fn report(error: &dyn std::error::Error) {
    match error.source() {
        Some(cause) => eprintln!("{error}: {cause}"),
        None => eprintln!("{error}"),
    }
}
