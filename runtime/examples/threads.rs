//! One recognizer for each thread: `cargo run --example threads MODEL.onnx SONG…`.

use std::thread;

use leitmotif::{Recognizer, SessionOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().ok_or("usage: threads MODEL.onnx SONG…")?;
    let songs: Vec<String> = arguments.collect();
    let workers = thread::available_parallelism()?.get();
    // One CPU thread a session: the songs share the cores, not the layers.
    let options = SessionOptions::default().with_threads(1);
    thread::scope(|scope| {
        for songs in songs.chunks(songs.len().div_ceil(workers).max(1)) {
            let (model, options) = (&model, &options);
            scope.spawn(move || {
                let answers = Recognizer::open_with(model, options).map(|mut recognizer| {
                    for song in songs {
                        match recognizer.recognize_file(song) {
                            Ok(answer) => println!("{song}: {:?}", answer.best()),
                            Err(error) => report(&error),
                        }
                    }
                });
                if let Err(error) = answers {
                    report(&error);
                }
            });
        }
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
