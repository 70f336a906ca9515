//! Which of some names is meant by a name that does not exist.

/// The Jaro-Winkler similarity from which a name counts as similar; 1 is equality.
const MIN_SIMILARITY: f64 = 0.8;

/// Returns the candidates whose name is similar, the most similar first. Of equally similar ones, the order stays.
pub(crate) fn similar<T>(
    name: &str,
    candidates: impl IntoIterator<Item = T>,
    name_of: impl Fn(&T) -> &str,
) -> Vec<T> {
    let candidates = candidates.into_iter().map(|candidate| {
        let similarity = strsim::jaro_winkler(name_of(&candidate), name);
        (similarity, candidate)
    });
    let mut similar: Vec<_> = candidates
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .collect();
    similar.sort_by(|(first, _), (second, _)| second.total_cmp(first));
    similar
        .into_iter()
        .map(|(_, candidate)| candidate)
        .collect()
}
