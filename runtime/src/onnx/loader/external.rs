//! Weights that a model keeps in another file.
//!
//! ONNX Runtime looks for that file in the working directory if the model comes from memory, and would take the weights
//! of another model there without a word. So what may hold a tensor is searched, and a tensor outside is an error.

use super::protobuf::Fields;

/// A message of an `.onnx` file that may hold tensors.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    Sparse,
    Tensor,
}

impl Message {
    /// What a field of this number holds; the numbers are those of `onnx.proto`.
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) | (Self::Training, 1 | 2) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::Sparse,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Self::Tensor,
            _ => return None,
        })
    }
}

/// `external_data` of a tensor: an entry of key (1) and value (2).
const EXTERNAL_DATA: u64 = 13;
const KEY: u64 = 1;
const VALUE: u64 = 2;

/// The place of the first tensor outside of the file; `None` if all are inside.
pub(in crate::onnx) fn external_data(model: &[u8]) -> Option<String> {
    // A list and no recursion: how deep a file goes is its own choice.
    let mut open = vec![(Message::Model, Fields(model))];
    while let Some((message, fields)) = open.last_mut() {
        let Some((number, content)) = fields.next() else {
            open.pop();
            continue;
        };
        match message.field(number) {
            Some(Message::Tensor) => {
                // Whatever its `data_location` says, none of our files has such entries.
                let mut entries = Fields(content).filter(|(number, _)| *number == EXTERNAL_DATA);
                if let Some(first) = entries.next() {
                    let mut entries = std::iter::once(first).chain(entries);
                    let location = entries.find_map(|(_, entry)| location(entry));
                    return Some(location.unwrap_or_else(|| "a file without a name".to_owned()));
                }
            }
            Some(inner) => open.push((inner, Fields(content))),
            None => {}
        }
    }
    None
}

/// The file that an entry of `external_data` names; `None` if it says something else.
fn location(entry: &[u8]) -> Option<String> {
    let of = |wanted| Fields(entry).find(|(number, _)| *number == wanted).map(|(_, text)| text);
    let text = (of(KEY)? == b"location").then(|| of(VALUE)).flatten()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// A field of protobuf: its number and its content.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let length = [(content.len() & 0x7f) as u8 | 0x80, (content.len() >> 7) as u8];
        let tag = [(number & 0xf) << 3 | 2 | 0x80, number >> 4];
        [&tag[..], &length, content].concat()
    }

    /// A tensor in `weights.bin`.
    fn outside() -> Vec<u8> {
        let entry = [field(1, b"location"), field(2, b"weights.bin")].concat();
        [field(8, b"w"), field(13, &entry)].concat()
    }

    #[test]
    fn a_tensor_outside_is_found_wherever_it_may_be() {
        let wrapped = |path: &[u8]| path.iter().rev().fold(outside(), |inner, n| field(*n, &inner));
        for path in [
            &[7, 5][..],       // an initializer
            &[7, 15, 1],       // a sparse one
            &[7, 15, 2],       // its indices
            &[7, 1, 5, 5],     // a Constant
            &[7, 1, 5, 10],    // a list of tensors
            &[7, 1, 5, 22, 1], // a sparse Constant
            &[7, 1, 5, 23, 1], // a list of them
            &[7, 1, 5, 6, 5],  // in the body of a loop
            &[7, 1, 5, 11, 5], // in one of several
            &[25, 7, 5, 5],    // in a function
            &[25, 11, 5],      // a function's default
            &[20, 1, 5],       // of training
            &[20, 2, 5],
        ] {
            let model = [field(2, b"producer"), wrapped(path)].concat();
            assert_eq!(external_data(&model).as_deref(), Some("weights.bin"), "{path:?}");
            // A group in front, which ONNX Runtime passes over.
            let grouped = [&[0x33, 0x08, 0x01, 0x34], &model[..]].concat();
            assert_eq!(external_data(&grouped).as_deref(), Some("weights.bin"), "{path:?}");
        }
        let unnamed = field(7, &field(5, &field(13, b"")));
        assert_eq!(external_data(&unnamed).as_deref(), Some("a file without a name"));
    }

    #[test]
    fn a_file_of_ours_has_all_its_tensors() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        for graph in ["clip", "segment", "sequence", "step"] {
            let model = std::fs::read(data.join(format!("tiny.{graph}.onnx"))).unwrap();
            assert_eq!(external_data(&model), None);
        }
    }

    #[test]
    fn graphs_within_graphs_do_not_end_the_stack() {
        // Each level is a graph with a node with an attribute with a graph, around nothing.
        let mut levels: Vec<Vec<u8>> = Vec::new();
        let mut length = 0usize;
        for tag in [0x32, 0x2a, 0x0a].into_iter().cycle().take(300_000).chain([0x3a]) {
            let mut level = vec![tag];
            let mut rest = length;
            while rest > 0x7f {
                level.push((rest & 0x7f) as u8 | 0x80);
                rest >>= 7;
            }
            level.push(rest as u8);
            length += level.len();
            levels.push(level);
        }
        levels.reverse();
        assert_eq!(external_data(&levels.concat()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_crash(bytes: Vec<u8>) {
            let _ = external_data(&bytes);
        }
    }
}
