//! The subset of an artist's groups whose size is nearest to a target.

/// Chooses between `least` (0 or 1) and `most` items whose sizes (each at least 1) sum as near to `target` as possible;
/// of equally near sums, the smaller. Returns whether each item is chosen; `None` where `least` exceeds `most`.
///
/// An exact subset sum by dynamic programming that minimises the items of each sum. Earlier items are preferred, so
/// callers shuffle first. Time and memory grow with items × twice the target; equal sizes, as of single clips, take
/// a shortcut.
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
    // The empty subset is `target` away, so no sum above twice the target is nearer; where it is not allowed, the
    // smallest item must fit.
    let limit = ((2.0 * target).ceil() as usize).max(smallest).min(sizes.iter().sum());
    const UNREACHABLE: usize = usize::MAX;
    let mut fewest = vec![UNREACHABLE; limit + 1];
    if let Some(empty) = fewest.first_mut() {
        *empty = 0;
    }
    let mut taken = vec![vec![]; sizes.len()];
    for (size, taken) in sizes.iter().zip(&mut taken) {
        let mut row = vec![false; limit + 1];
        for sum in (*size..=limit).rev() {
            let with = fewest.get(sum - size).copied().unwrap_or(UNREACHABLE).saturating_add(1);
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
    fn no_other_subset_is_nearer() {
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
    fn there_is_no_subset_where_least_exceeds_most() {
        assert_eq!(nearest(&[1, 2], 1.0, 1, 0), None);
        assert_eq!(nearest(&[], 1.0, 0, 0), Some(vec![]));
    }
}
