//! A look over a file's protobuf before the crate parses it.
//!
//! protobuf 3.4.0 skips groups of unknown fields by recursion without a bound, so that a small file of nothing but
//! opened groups overflows the stack (RUSTSEC-2024-0437). ONNX has no groups: a file that has one, anywhere the parser
//! would go, is refused here. What only looks like one inside text or tensor data is left alone.

/// Messages inside messages that a file may have; the parser itself stops at as many.
const MOST_DEPTH: usize = 100;

/// The messages of `onnx.proto` that hold others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    ValueInfo,
    Type,
    TensorType,
    ElementType,
    MapType,
    Shape,
    Training,
    Function,
    Annotation,
    /// Any that holds only numbers and text.
    Leaf,
}

impl Message {
    /// The message in a field; `None` for text, numbers, and fields that the parser skips.
    fn inside(self, field: u64) -> Option<Message> {
        use Message::{
            Annotation, Attribute, ElementType, Function, Graph, Leaf, MapType, Model, Node, Shape,
            SparseTensor, Tensor, TensorType, Training, Type, ValueInfo,
        };
        Some(match (self, field) {
            (Model, 7) | (Attribute, 6 | 11) | (Training, 1 | 2) => Graph,
            (Model, 20) => Training,
            (Model, 25) => Function,
            (Graph, 1) | (Function, 7) => Node,
            (Graph, 5) | (Attribute, 5 | 10) | (SparseTensor, 1 | 2) => Tensor,
            (Graph, 11..=13) | (Function, 12) => ValueInfo,
            (Graph, 14) => Annotation,
            (Graph, 15) | (Attribute, 22 | 23) => SparseTensor,
            (Node, 5) | (Function, 11) => Attribute,
            (ValueInfo, 2) | (Attribute, 14 | 15) | (ElementType, 1) | (MapType, 2) => Type,
            (Type, 1 | 8) => TensorType,
            (Type, 4 | 9) => ElementType,
            (Type, 5) => MapType,
            (TensorType, 2) => Shape,
            (Model, 8 | 14)
            | (Graph, 16)
            | (Node, 9)
            | (Tensor, 3 | 13 | 16)
            | (ValueInfo, 4)
            | (Shape, 1)
            | (Training, 3 | 4)
            | (Function, 9 | 14)
            | (Annotation, 2) => Leaf,
            _ => return None,
        })
    }
}

/// Walks through a model.
///
/// # Errors
/// A group, a field cut short, or messages nested too deep.
pub(crate) fn check(model: &[u8]) -> Result<(), &'static str> {
    walk(Message::Model, model, MOST_DEPTH)
}

fn walk(message: Message, mut rest: &[u8], depth: usize) -> Result<(), &'static str> {
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match tag & 7 {
            0 => drop(varint(&mut rest)?),
            1 => drop(take(&mut rest, 8)?),
            2 => {
                let length = varint(&mut rest)?;
                let content = take(&mut rest, length)?;
                if let Some(inner) = message.inside(tag >> 3) {
                    let depth = depth.checked_sub(1).ok_or("its messages are nested too deep")?;
                    walk(inner, content, depth)?;
                }
            }
            5 => drop(take(&mut rest, 4)?),
            _ => return Err("it has a field of a kind that ONNX does not use"),
        }
    }
    Ok(())
}

fn varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = *take(rest, 1)? else { return Err(CUT) };
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("it has a number of more than 64 bits")
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], &'static str> {
    let length = usize::try_from(length).map_err(|_| CUT)?;
    let (taken, after) = rest.split_at_checked(length).ok_or(CUT)?;
    *rest = after;
    Ok(taken)
}

const CUT: &str = "it is cut short";

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        let mut length = content.len();
        while length > 0x7F {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend(content);
        bytes
    }

    const OPEN_GROUP: [u8; 1] = [9 << 3 | 3];

    #[test]
    fn a_group_is_refused_wherever_the_parser_would_follow_it() {
        let of_node = field(7, &field(1, &OPEN_GROUP));
        let of_attribute = field(7, &field(1, &field(5, &OPEN_GROUP)));
        let of_dimension = field(2, &field(1, &field(2, &field(1, &OPEN_GROUP))));
        let of_dimension = field(7, &field(11, &of_dimension));
        for bytes in [OPEN_GROUP.to_vec(), of_node, of_attribute, of_dimension] {
            assert!(check(&bytes).unwrap_err().contains("kind"), "{bytes:?}");
        }
    }

    #[test]
    fn data_that_looks_like_a_group_passes() {
        let tensor = field(5, &field(9, &OPEN_GROUP)); // raw_data of an initializer
        let name = field(2, &OPEN_GROUP);
        assert_eq!(check(&field(7, &[tensor, name].concat())), Ok(()));
    }

    #[test]
    fn graphs_inside_graphs_have_an_end() {
        let nested =
            |times| (0..times).fold(Vec::new(), |inner, _| field(1, &field(5, &field(6, &inner))));
        assert_eq!(check(&field(7, &nested(33))), Ok(()));
        assert!(check(&field(7, &nested(34))).unwrap_err().contains("deep"));
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        for bytes in [&[0x3A][..], &[0x3A, 5, 0], &[0x09, 1], &[0x80], &[0xFF; 11]] {
            assert!(check(bytes).is_err(), "{bytes:?}");
        }
    }
}
