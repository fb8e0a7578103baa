//! The card in the bytes of an `.onnx` file.
//!
//! Each entry of a model's `metadata_props` is a field with the number 14, itself a row of key (1) and value (2).

use leitmotif_models::Card;

use super::protobuf::Fields;

const METADATA_PROPS: u64 = 14;
const KEY: u64 = 1;
const VALUE: u64 = 2;

/// The model's card; `None` if it has none that this version can read.
pub(super) fn stored_card(model: &[u8]) -> Option<Card> {
    let entries = Fields(model).filter(|(number, _)| *number == METADATA_PROPS);
    let of =
        |entry, wanted| Fields(entry).find(|(number, _)| *number == wanted).map(|(_, text)| text);
    let mut cards = entries.filter(|(_, entry)| of(entry, KEY) == Some(Card::KEY.as_bytes()));
    let text = of(cards.next()?.1, VALUE)?;
    Card::from_json(std::str::from_utf8(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use leitmotif_models::{GraphKind, Precision, Target};
    use proptest::prelude::*;

    use super::*;

    fn model() -> Vec<u8> {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        std::fs::read(data.join("tiny.segment.onnx")).unwrap()
    }

    #[test]
    fn a_card_is_found_behind_the_graph() {
        let card = stored_card(&model()).unwrap();
        assert_eq!(card.graph, GraphKind::Segment);
        assert_eq!((card.target, card.precision), (Target::Portable, Precision::Fp32));
    }

    #[test]
    fn what_is_cut_off_or_is_no_model_has_none() {
        let model = model();
        let card_ends = model.iter().rposition(|byte| *byte == b'}').unwrap();
        for length in (0..card_ends).step_by(7) {
            assert!(stored_card(&model[..length]).is_none(), "{length}");
        }
        // A length beyond the end, a group of old, and a number that never ends.
        for bytes in [&[0x72, 0xff, 0x01][..], &[0x73], &[0xff; 20]] {
            assert!(stored_card(bytes).is_none());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_crash(bytes: Vec<u8>) {
            let _ = stored_card(&bytes);
        }
    }
}
