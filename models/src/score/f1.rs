//! F1, as scikit-learn computes it.

/// Mean F1 over the classes that occur in `pairs` of (truth, answer), on either side; `None` without pairs.
pub(super) fn macro_f1(pairs: &[(usize, usize)], classes: usize) -> Option<f64> {
    let mut counts = vec![(0usize, 0usize, 0usize); classes];
    for (truth, answer) in pairs {
        if let Some(c) = counts.get_mut(*truth) {
            c.1 += 1;
            c.0 += usize::from(truth == answer);
        }
        if truth != answer
            && let Some(c) = counts.get_mut(*answer)
        {
            c.2 += 1;
        }
    }
    let scores: Vec<f64> = counts
        .iter()
        .filter(|(_, all, mistaken)| all + mistaken > 0)
        .map(|(right, all, mistaken)| f1(*right, *all, *mistaken))
        .collect();
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

/// F1 of a class: `right` of its `all` members found, `mistaken` of others taken for it.
pub(super) fn f1(right: usize, all: usize, mistaken: usize) -> f64 {
    let both = all + right + mistaken;
    if right == 0 { 0.0 } else { 2.0 * right as f64 / both as f64 }
}
