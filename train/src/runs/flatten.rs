//! Nested settings as names and values.

use serde_json::Value;

/// A settings file may be nested at will; this program's are not.
const DEEPEST: usize = 8;

/// Every value with its path: fields as `adam.beta1`, elements of a list as `[0]`, whole; all behind `path`, where there
/// is one.
pub(crate) fn flatten(path: &str, value: Value) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    add(path.to_owned(), value, 0, &mut flat);
    flat
}

fn add(path: String, value: Value, depth: usize, flat: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) if depth < DEEPEST => {
            for (name, value) in fields {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                add(path, value, depth + 1, flat);
            }
        }
        Value::Array(values) => {
            let numbered = values.into_iter().enumerate();
            flat.extend(numbered.map(|(i, value)| (format!("{path}[{i}]"), value)));
        }
        value => flat.push((path, value)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_within_settings_are_named_by_their_path() {
        let value =
            json!({"adam": {"beta1": 0.9}, "patience": null, "of": ["a", {"blocks": 1}], "no": []});
        let named = |pairs: &[(&str, Value)]| -> Vec<(String, Value)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        let mut flat = flatten("", value.clone());
        flat.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [
            ("adam.beta1", json!(0.9)),
            ("of[0]", json!("a")),
            ("of[1]", json!({"blocks": 1})),
            ("patience", Value::Null),
        ];
        assert_eq!(flat, named(&expected));
        assert!(flatten("config", value).contains(&("config.adam.beta1".to_owned(), json!(0.9))));
    }
}
