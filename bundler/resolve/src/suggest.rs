//! What may have been meant: files, packages and exports that are spelt likewise.

use crate::path::{extension_of, folder_of, name_of, relative};
use crate::probe::extensions;
use crate::specifier::Form;
use crate::{FileSystem, Kind};

/// Longest name that is compared; longer ones would only cost time.
const MAX_NAME: usize = 64;

/// The nearest of some names, unless all are far off.
pub(crate) fn nearest<'a>(name: &str, others: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = if name.len() < 4 { 1 } else { 2 };
    let distances = others.map(|other| (distance(&name.to_lowercase(), &other.to_lowercase()), other));
    distances.filter(|(distance, _)| *distance <= allowed).min().map(|(_, other)| other)
}

/// The nearest few of some names, the best first; all may be far off.
pub(crate) fn near<'a>(name: &str, others: impl Iterator<Item = &'a str>) -> Vec<String> {
    const FEW: usize = 5;
    // More wouldn't be read, and some packages export thousands.
    const MOST: usize = 2000;
    let mut ranked: Vec<(usize, &str)> = others.take(MOST).map(|other| (distance(name, other), other)).collect();
    ranked.sort();
    ranked.into_iter().take(FEW).map(|(_, other)| other.to_owned()).collect()
}

/// An existing file that may have been meant by a missing path: the specifier to write and its path.
pub(crate) fn file(files: &dyn FileSystem, importer: &str, specifier: &str, path: &str) -> Option<(String, String)> {
    let mut found = String::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (last, folders) = segments.split_last()?;
    for folder in folders {
        found = entry(files, &found, folder, |name| name.to_lowercase() == folder.to_lowercase())?;
    }
    let target = similar(files, &found, last)?;
    let shown = match Form::of(specifier) {
        Form::Relative => relative(folder_of(importer), &target),
        _ => target.clone(),
    };
    let bare = extension_of(last).is_empty() && extensions(&target).contains(&extension_of(&target));
    let cut = if bare { shown.len() - extension_of(&target).len() - 1 } else { shown.len() };
    Some((shown[..cut].to_owned(), target))
}

/// A file of the folder with the same name but for case, extension or a slip.
fn similar(files: &dyn FileSystem, folder: &str, name: &str) -> Option<String> {
    let same_case = |other: &str| other.to_lowercase() == name.to_lowercase();
    let same_stem = |other: &str| {
        let wanted = [stem(name), name].map(str::to_lowercase);
        wanted.contains(&stem(other).to_lowercase())
    };
    let slip = || {
        let names = files.names(folder_or_root(folder));
        let stems: Vec<&str> = names.iter().map(|other| stem(other)).collect();
        let best = nearest(stem(name), stems.into_iter())?.to_owned();
        entry(files, folder, "", |other| stem(other) == best)
    };
    let found = entry(files, folder, name, same_case).or_else(|| entry(files, folder, "", same_stem)).or_else(slip)?;
    match files.kind(&found) {
        Kind::File => Some(found),
        _ => None,
    }
}

/// The path of `name` in a folder if it exists, else of the first that fits.
fn entry(files: &dyn FileSystem, folder: &str, name: &str, fits: impl Fn(&str) -> bool) -> Option<String> {
    let exact = format!("{folder}/{name}");
    if !name.is_empty() && files.kind(&exact) != Kind::Missing {
        return Some(exact);
    }
    let mut names = files.names(folder_or_root(folder));
    names.sort();
    names.iter().find(|name| fits(name)).map(|name| format!("{folder}/{name}"))
}

fn folder_or_root(folder: &str) -> &str {
    if folder.is_empty() { "/" } else { folder }
}

fn stem(name: &str) -> &str {
    let extension = extension_of(name);
    if extension.is_empty() { name } else { name_of(&name[..name.len() - extension.len() - 1]) }
}

/// How many letters have to be added, taken away, replaced or swapped with the next.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(MAX_NAME).collect();
    let b: Vec<char> = b.chars().take(MAX_NAME).collect();
    let mut older: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(older[j - 1] + 1);
            }
            row.push(best);
        }
        older = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distances() {
        for (a, b, expected) in [("", "", 0), ("a", "", 1), ("recat", "react", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
        assert_eq!(nearest("lodahs", ["react", "lodash"].into_iter()), Some("lodash"));
        assert_eq!(nearest("lodash", ["react", "redux"].into_iter()), None);
    }
}
