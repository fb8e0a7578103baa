//! Which of an artist's groups come nearest to a share.

/// Chooses between `least` (0 or 1) and `most` of the items so that the sum of their sizes is as near to `target` as any choice's; of equally
/// near sums the smaller. Nothing where `least` exceeds `most`. Items are at least 1 in size.
///
/// Exact, by the sums that the first items can reach, each with the fewest items; the earliest items are preferred, so a shuffle before decides.
/// Time and memory grow with items × sums up to twice the target; equal sizes, as single clips are, need neither.
pub(super) fn nearest(
    sizes: &[usize],
    target: f64,
    least: usize,
    most: usize,
) -> Option<Vec<bool>> {
    if least > most {
        return None;
    }
    let target = target.max(0.0);
    let smallest = sizes.iter().copied().min().unwrap_or(0);
    if sizes.iter().all(|size| *size == smallest) {
        let wanted = if smallest == 0 { 0.0 } else { (target / smallest as f64 - 0.5).ceil() };
        let count = (wanted as usize).clamp(least, most);
        return Some((0..sizes.len()).map(|item| item < count).collect());
    }
    // The empty choice misses by `target`, so no sum above twice the target is nearer; a choice that must not be empty may be one item.
    let limit = ((2.0 * target).ceil() as usize).max(smallest).min(sizes.iter().sum());
    const UNREACHED: usize = usize::MAX;
    let mut fewest = vec![UNREACHED; limit + 1];
    if let Some(empty) = fewest.first_mut() {
        *empty = 0;
    }
    let mut taken = vec![vec![]; sizes.len()];
    for (size, taken) in sizes.iter().zip(&mut taken) {
        let mut row = vec![false; limit + 1];
        for sum in (*size..=limit).rev() {
            let with = fewest.get(sum - size).copied().unwrap_or(UNREACHED).saturating_add(1);
            if let (Some(now), Some(cell)) = (fewest.get_mut(sum), row.get_mut(sum))
                && with < *now
            {
                (*now, *cell) = (with, true);
            }
        }
        *taken = row;
    }
    let reachable =
        |sum: &usize| fewest.get(*sum).is_some_and(|items| (least..=most).contains(items));
    let mut sum = (0..=limit)
        .filter(reachable)
        .min_by(|a, b| (*a as f64 - target).abs().total_cmp(&(*b as f64 - target).abs()))?;
    let mut chosen = vec![false; sizes.len()];
    for ((size, taken), chosen) in sizes.iter().zip(&taken).zip(&mut chosen).rev() {
        if taken.get(sum).copied().unwrap_or(false) {
            *chosen = true;
            sum -= size;
        }
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use leitmotif_models::Random;

    fn sum(sizes: &[usize], chosen: &[bool]) -> usize {
        sizes.iter().zip(chosen).filter(|(_, chosen)| **chosen).map(|(size, _)| size).sum()
    }

    #[test]
    fn no_choice_is_nearer() {
        let mut random = Random::derive(5, "subsets", &[]);
        for _ in 0..2000 {
            let sizes: Vec<usize> =
                (0..2 + random.below(7)).map(|_| 1 + random.below(12)).collect();
            let target = random.uniform(0.0, 0.6) * sizes.iter().sum::<usize>() as f64;
            let (least, most) = (random.below(2), 1 + random.below(sizes.len()));
            let chosen = nearest(&sizes, target, least, most).unwrap();
            let miss = |sum: usize| (sum as f64 - target).abs();
            let count = chosen.iter().filter(|chosen| **chosen).count();
            assert!(
                (least..=most).contains(&count),
                "{sizes:?} {target} {least}..={most}: {chosen:?}"
            );
            let best = (0u32..1 << sizes.len())
                .filter(|bits| (least..=most).contains(&(bits.count_ones() as usize)))
                .map(|bits| {
                    miss(
                        (0..sizes.len())
                            .filter(|item| bits >> item & 1 == 1)
                            .map(|item| sizes[item])
                            .sum(),
                    )
                })
                .fold(f64::INFINITY, f64::min);
            assert!(
                (miss(sum(&sizes, &chosen)) - best).abs() < 1e-9,
                "{sizes:?} {target} {least}..={most}: {chosen:?} misses by more than {best}"
            );
        }
    }

    #[test]
    fn nothing_fits_where_at_least_one_must_be_taken_and_none_may() {
        assert_eq!(nearest(&[1, 2], 1.0, 1, 0), None);
        assert_eq!(nearest(&[], 1.0, 0, 0), Some(vec![]));
    }
}
