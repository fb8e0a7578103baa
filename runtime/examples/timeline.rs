//! The most probable artist over time: `cargo run --example timeline MODEL.onnx SONG`.

use leitmotif::Recognizer;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(model), Some(song)) = (arguments.next(), arguments.next()) else {
        return Err("usage: timeline MODEL.onnx SONG".into());
    };
    let recognizer = Recognizer::open(model)?;
    for moment in recognizer.recognize_file(song)?.timeline {
        let artist = recognizer.card().classes.get(moment.best()).map_or("", String::as_str);
        println!("{:8.2} s  {artist}", moment.start_seconds);
    }
    Ok(())
}
